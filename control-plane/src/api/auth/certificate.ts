/** What of a TLS connection says who is at its other end. */
interface MaybeTls {
  readonly authorized?: boolean;
  readonly getPeerCertificate?: () => { readonly subject?: { readonly CN?: unknown } } | undefined;
}

/**
 * The common name of the client certificate of a connection, if one was presented and the API's certificate authority signed it;
 * else null. A certificate with several common names names nobody.
 */
export function certificateName(socket: object): string | null {
  const { authorized } = socket as MaybeTls;
  if (authorized !== true) return null;
  const name = (socket as MaybeTls).getPeerCertificate?.()?.subject?.CN;
  return typeof name === 'string' && name !== '' ? name : null;
}
