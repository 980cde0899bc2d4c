import type { HostPort } from '../model/field.js';

/** Another node that a server of a cluster names: `moved` for good, `ask` for this command alone. */
export interface Redirect {
  readonly kind: 'moved' | 'ask';
  readonly node: HostPort;
}

/** Reads `MOVED 1234 host:port` and `ASK 1234 host:port`; null for any other error. No host means that of `from`. */
export function parseRedirect(error: string, from: HostPort | null): Redirect | null {
  const [, word, rawHost, port] = /^(MOVED|ASK) \d+ (.*):(\d{1,5})$/.exec(error) ?? [];
  const host = rawHost === '' ? from?.host : rawHost?.replace(/^\[(.*)\]$/, '$1');
  if (host === undefined || host === '?') return null;
  return { kind: word === 'ASK' ? 'ask' : 'moved', node: { host, port: Number(port) } };
}
