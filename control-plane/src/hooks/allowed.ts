import { err, ok, type Result } from '../model/result.js';

/** Reads a prefix of URLs that may be called: a scheme, a host and perhaps a path. */
export function parsePrefix(text: string): Result<URL, string> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return err(`${text} is no http:// or https:// URL`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return err(`${url.origin} must come without a user, a query and a fragment`);
  return ok(url);
}

/** Why `text` must not be called, or null: it must lie below one of `prefixes`, whole path segments counted. */
export function forbids(text: string, prefixes: readonly URL[]): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'must be an http:// or https:// URL';
  if (url.username !== '' || url.password !== '') return 'must come without a user and a password';
  const allowed = prefixes.some((prefix) => {
    const path = prefix.pathname.replace(/\/+$/, '');
    return url.origin === prefix.origin && (url.pathname === path || url.pathname.startsWith(`${path}/`));
  });
  return allowed
    ? null
    : `this path of ${url.origin} is not allowed: add a prefix of the URL, up to a "/", to EBBGATE_HOOKS of the controllers`;
}
