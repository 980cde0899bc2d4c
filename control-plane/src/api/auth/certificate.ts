/** What of a TLS connection says who is at its other end. */
interface MaybeTls {
  readonly authorized?: boolean;
  readonly authorizationError?: unknown;
  readonly getPeerCertificate?: () => PeerCertificate | undefined;
}

/** Of a client that showed none it is empty. */
interface PeerCertificate {
  readonly subject?: { readonly CN?: unknown };
  readonly subjectaltname?: unknown;
  readonly valid_to?: unknown;
}

/** The certificate that a client has shown. */
export interface ShownCertificate {
  /** Why it was not verified; null: it was. */
  readonly flaw: string | null;
  /** Whom it names; null: nobody, or several. */
  readonly name: string | null;
  /** When it ends: Unix milliseconds. */
  readonly ends: number;
}

/** The certificate that the client of a connection has shown; null = none, or the connection is not encrypted. */
export function shownCertificate(socket: object): ShownCertificate | null {
  const { authorized, authorizationError } = socket as MaybeTls;
  const shown = (socket as MaybeTls).getPeerCertificate?.();
  if (shown === undefined || Object.keys(shown).length === 0) return null;
  const ends = Date.parse(String(shown.valid_to));
  return { flaw: authorized === true ? null : String(authorizationError), name: nameOf(shown), ends };
}

/**
 * Whom a certificate names: the first DNS name or URI of its `subjectAltName`; without one its common name, if it has exactly
 * one. E-mail and IP addresses name nobody.
 */
function nameOf({ subject, subjectaltname }: PeerCertificate): string | null {
  const alternative = typeof subjectaltname === 'string' ? firstName(subjectaltname) : undefined;
  const name = alternative ?? subject?.CN;
  return typeof name === 'string' && name !== '' ? name : null;
}

/** `DNS:a, URI:"spiffe://x/a,b"`: Node writes a value as JSON where it could be taken for the beginning of another one. */
const ALTERNATIVE = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/gy;

function firstName(alternatives: string): string | undefined {
  for (const [, kind, value = ''] of alternatives.matchAll(ALTERNATIVE))
    if (kind === 'DNS' || kind === 'URI') return value.startsWith('"') ? String(JSON.parse(value)) : value;
  return undefined;
}
