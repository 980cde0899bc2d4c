/** Why a connection by TLS was not made, and what to do about it: two parts of a sentence. */
export interface TlsFailure {
  readonly reason: string;
  readonly remedy: string;
}

const TRUST = 'set EBBGATE_API_CA to the file with the certificate of the authority that signed it';
const UNTRUSTED = 'its certificate is signed by an authority that is not trusted here';
const EXPIRED: TlsFailure = {
  reason: 'its certificate has expired',
  remedy: 'renew the one in EBBGATE_API_TLS_CERT of that controller; or is the clock of this machine wrong?',
};
const NO_TLS: TlsFailure = {
  reason: 'it speaks no TLS',
  remedy: 'write http:// in the address, or give that controller a certificate (EBBGATE_API_TLS_CERT)',
};
const WANTS_CERTIFICATE: TlsFailure = {
  reason: 'it does not take the client certificate, or the lack of one',
  remedy: 'set EBBGATE_API_CERT and EBBGATE_API_KEY to a certificate that its authority for clients signed',
};

/** By the code that Node gives the error; each of them comes before a request is sent, but for those of `WANTS_CERTIFICATE`. */
const FAILURES: Readonly<Record<string, TlsFailure>> = {
  SELF_SIGNED_CERT_IN_CHAIN: { reason: UNTRUSTED, remedy: TRUST },
  UNABLE_TO_GET_ISSUER_CERT: { reason: UNTRUSTED, remedy: TRUST },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { reason: UNTRUSTED, remedy: TRUST },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { reason: UNTRUSTED, remedy: TRUST },
  CERT_SIGNATURE_FAILURE: { reason: UNTRUSTED, remedy: TRUST },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    reason: 'its certificate is signed by itself, and not trusted here',
    remedy: 'set EBBGATE_API_CA to the file with that certificate',
  },
  CERT_HAS_EXPIRED: EXPIRED,
  CERT_NOT_YET_VALID: {
    reason: 'its certificate is not valid yet',
    remedy: 'look at the clock of this machine',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    reason: 'its certificate is for other names',
    remedy: 'ask under a name that it has, or have one made that has this name too (subjectAltName)',
  },
  INVALID_PURPOSE: {
    reason: 'its certificate is not for servers',
    remedy: 'have one made for servers (extendedKeyUsage serverAuth)',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
};

const ALERT = /^ERR_SSL_.*ALERT_(?:CERTIFICATE_|UNKNOWN_CA|BAD_CERTIFICATE|HANDSHAKE_FAILURE)/;

/** What kept TLS from being spoken, by the error of a request; null if it was something else. */
export function tlsFailure(error: unknown): TlsFailure | null {
  const { code, reason } = (error instanceof Error ? error : {}) as {
    readonly code?: unknown;
    readonly reason?: unknown;
  };
  if (typeof code !== 'string') return null;
  if (ALERT.test(code)) return WANTS_CERTIFICATE;
  const found = Object.hasOwn(FAILURES, code) ? FAILURES[code] : undefined;
  if (found === undefined) return null;
  // Node says here which names it has.
  const names = code === 'ERR_TLS_CERT_ALTNAME_INVALID' && typeof reason === 'string' ? reason : code;
  return { ...found, reason: `${found.reason} (${names})` };
}

/** True if the error came before anything was sent: the other side was never believed. */
export function isBeforeRequest(code: string): boolean {
  return Object.hasOwn(FAILURES, code);
}
