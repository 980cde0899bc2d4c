import { createHash } from 'node:crypto';
import type { RandomBytes } from './secret.js';

/*
 * A key of a consumer is `ebk_` and 32 random bytes, as base64url. Whoever guesses has nothing shorter to guess than those, so that
 * one plain SHA-256 proves it, as of a token's secret (secret.ts): a slow or salted hash would protect words that people choose, and
 * would make a gateway try every key there is. Unlike a token it has no part that finds its record: the hash itself does, in one
 * look-up on the path of a request, and takes as long for a key that is known as for one that is not. So a key that somebody brings
 * along from another gateway works as well.
 */

const KEY_BYTES = 32;
const ID_BYTES = 6;

/** A new key: what is shown once, and what is kept. */
export function makeKey(random: RandomBytes): { readonly text: string; readonly hash: string } {
  const text = `ebk_${Buffer.from(random(KEY_BYTES)).toString('base64url')}`;
  return { text, hash: hashOfKey(text) };
}

/** Names a key, and says nothing of it. */
export function makeKeyId(random: RandomBytes): string {
  return Buffer.from(random(ID_BYTES)).toString('hex');
}

/** The id of the key that a request asks for which may come again: the same each time, so that it gives no second key. */
export function keyIdFor(consumer: string, idempotencyKey: string): string {
  return hashOfKey(`${consumer}\n${idempotencyKey}`).slice(0, ID_BYTES * 2);
}

/** What is kept of a key: SHA-256, in lower-case hexadecimal. */
export function hashOfKey(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
