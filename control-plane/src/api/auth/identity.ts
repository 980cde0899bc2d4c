import { EVERYTHING } from '../../model/glob.js';
import { NO_TOKEN, STATIC_TOKEN } from '../../model/names.js';
import type { Role } from '../../model/role.js';
import type { TokenRecord } from '../../model/token.js';

/** Who asks, and what it may do. */
export interface Identity {
  /** The token's name. */
  readonly name: string;
  /** How it was proven: `none` = no token is needed here, and none was given. */
  readonly proof: 'none' | 'static' | 'token' | 'certificate';
  readonly role: Role;
  /** The services it is for, as a pattern; of role `gateway` the gateways. */
  readonly scope: string;
  /** When the token does, or the certificate that proves it: RFC 3339; null = never. */
  readonly expires: string | null;
  /** Of the record that was proven; null = of none. */
  readonly id: string | null;
}

/** Whoever asks an API that needs no token. */
export const NOBODY: Identity = {
  ...{ name: NO_TOKEN, proof: 'none', role: 'admin', scope: EVERYTHING, expires: null, id: null },
};

/** Who has EBBGATE_TOKEN. */
export const BOOTSTRAP: Identity = {
  ...{ name: STATIC_TOKEN, proof: 'static', role: 'admin', scope: EVERYTHING, expires: null, id: null },
};

/** Who has proven a token of the store: by its secret, or by a certificate that ends at `certificateEnds` (Unix milliseconds). */
export function identityOf(
  { name, role, scope, expires, id }: TokenRecord,
  certificateEnds: number | null,
): Identity {
  if (certificateEnds === null) return { name, proof: 'token', role, scope, expires, id };
  const isSooner = expires === null || certificateEnds < Date.parse(expires);
  const until = isSooner ? new Date(certificateEnds).toISOString() : expires;
  return { name, proof: 'certificate', role, scope, expires: until, id };
}

/** Whoever asks what is open to everybody. */
export const ANYBODY: Identity = {
  ...{ name: NO_TOKEN, proof: 'none', role: 'viewer', scope: '', expires: null, id: null },
};
