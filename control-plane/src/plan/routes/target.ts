/*
 * How a gateway reads the target of a request (docs/reference/http.md): the host without port, in lower case; the path decoded,
 * with `//` and dot segments resolved. Every character of what comes out is a byte.
 */

/** What routes look at of a request. */
export interface RoutedRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Behind the `?`, as it was sent. */
  readonly query: string;
  /** Names in lower case; several lines of one name are several entries. */
  readonly headers: readonly (readonly [string, string])[];
  /** An IP address; null = not known: it is in no network. */
  readonly client: string | null;
}

/** The path that routes are chosen by, of one as it was sent; null of one that a gateway refuses (400). */
export function routedPath(raw: string): string | null {
  const [path = ''] = raw.split(/[?#]/);
  if (!path.startsWith('/') || /%(?![0-9A-Fa-f]{2})/.test(path)) return null;
  const bytes = decodeBytes(path);
  if (bytes.includes('\0')) return null;
  const segments: string[] = [];
  const parts = bytes.slice(1).split('/');
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (part === '..' && segments.pop() === undefined) return null;
    if (part === '.' || part === '..' || part === '') {
      // What ends so is the folder.
      if (isLast) segments.push('');
    } else segments.push(part);
  }
  return `/${segments.join('/')}`;
}

/** The value of the first query argument of that name, decoded; null if there is none. */
export function firstArgument(query: string, name: string): string | null {
  for (const part of query.split('&')) {
    const sign = part.indexOf('=');
    const given = sign < 0 ? part : part.slice(0, sign);
    if (decodeArgument(given) === name && part !== '')
      return decodeArgument(sign < 0 ? '' : part.slice(sign + 1));
  }
  return null;
}

/** All lines of one name as one value; null if there is none. */
export function headerValue(headers: RoutedRequest['headers'], name: string): string | null {
  const lines = headers.filter(([given]) => given === name).map(([, value]) => value);
  return lines.length === 0 ? null : lines.join(', ');
}

/** The host that routes are chosen by, of a Host header or an authority. */
export function routedHost(given: string): string {
  const [host = ''] = /^\[[^\]]*\]|^[^:]*/.exec(given.toLowerCase()) ?? [];
  return host.replace(/\.$/, '');
}

function decodeArgument(text: string): string {
  return decodeBytes(text.replaceAll('+', ' '));
}

/** A `%` that no two digits follow stays. */
function decodeBytes(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}
