import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Verifier } from '../../model/token.js';

/*
 * A token is `ebb_<id>_<secret>`: the id finds the record, the secret proves it. A secret is 32 random bytes, made here and never
 * chosen by a person: there is no dictionary of such secrets, so one keyed SHA-256 is enough, and a slow hash (as passwords
 * need) would only make every request slow. The salt keeps equal secrets, and what was worked out for one installation, apart.
 */

const ID_BYTES = 8;
const SALT_BYTES = 16;
const SECRET_BYTES = 32;
const TOKEN = /^ebb_([0-9a-f]{16})_([0-9a-f]{64})$/;

/** So many random bytes. */
export type RandomBytes = (bytes: number) => Uint8Array;

/** A new token: what is shown once, and what is kept. */
export function makeToken(random: RandomBytes): {
  readonly text: string;
  readonly id: string;
  readonly verifier: Verifier;
} {
  const [id, salt, secret] = [hex(random(ID_BYTES)), hex(random(SALT_BYTES)), hex(random(SECRET_BYTES))];
  const hash = digest(salt, secret).toString('hex');
  return { text: `ebb_${id}_${secret}`, id, verifier: { salt, hash } };
}

/** The parts of a token; null if `text` does not look like one. */
export function readToken(text: string): { readonly id: string; readonly secret: string } | null {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? null : { id, secret };
}

/** What is compared where there is no record, so that an unknown id takes as long as a wrong secret. No secret has this hash. */
const NONE: Verifier = { salt: '0'.repeat(SALT_BYTES * 2), hash: '0'.repeat(64) };

/** True if `secret` is the one of `verifier`. Takes the same time for every secret, and where there is no verifier. */
export function proves(secret: string, verifier: Verifier | null): boolean {
  const { salt, hash } = verifier ?? NONE;
  return timingSafeEqual(digest(salt, secret), Buffer.from(hash, 'hex')) && verifier !== null;
}

function digest(salt: string, secret: string): Buffer {
  return createHmac('sha256', Buffer.from(salt, 'hex')).update(secret).digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
