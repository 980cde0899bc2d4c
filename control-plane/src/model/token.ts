import type { Role } from './role.js';

/*
 * A token: the word that whoever presents a secret, or a client certificate, is `name` and has a role.
 */

/** What proves a secret without containing it: HMAC-SHA-256 of the secret under a salt, both in hexadecimal. */
export interface Verifier {
  readonly salt: string;
  readonly hash: string;
}

/** The data of `/ebbgate/tokens/<name>`. Times are RFC 3339. */
export interface TokenRecord {
  /** Schema of this record. */
  readonly v: 1;
  readonly name: string;
  /** The part of the token that is no secret: it finds the record. */
  readonly id: string;
  readonly role: Role;
  /** The services it is for, as a pattern; of role `gateway` the gateways. */
  readonly scope: string;
  /** Null: it has no secret, and is proven by a certificate. */
  readonly verifier: Verifier | null;
  /** The name in the client certificate that proves it; null: it is proven by its secret. */
  readonly certificate: string | null;
  /** Who made it, why, and when. */
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** After this moment it is refused; null = never. */
  readonly expires: string | null;
}

/** A token as the API shows it: nothing of it helps to guess the secret. */
export interface TokenResource {
  readonly name: string;
  readonly id: string;
  readonly role: Role;
  readonly scope: string;
  readonly certificate: string | null;
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
  /** True once `until` is over: it is refused, and stays in the list until it is revoked. */
  readonly expired: boolean;
}

/** A token that somebody presents the id or the certificate of, and whether its time is over now. */
export interface KnownToken {
  readonly record: TokenRecord;
  readonly expired: boolean;
}

/** The tokens as the API asks for them; of the moment, and without waiting. */
export interface TokenPlane {
  /** False before they were read for the first time. */
  readonly known: boolean;
  /** By name. */
  list(): readonly TokenResource[];
  byId(id: string): KnownToken | undefined;
  byCertificate(name: string): KnownToken | undefined;
}
