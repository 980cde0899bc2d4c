import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { makeToken, proves, readToken } from './secret.js';

it('a token proves itself, and no other does', () => {
  const [one, two] = [makeToken(randomBytes), makeToken(randomBytes)];
  const [mine, other] = [readToken(one.text)!, readToken(two.text)!];
  expect(mine.id).toBe(one.id);
  expect(proves(mine.secret, one.verifier)).toBe(true);
  expect(proves(other.secret, one.verifier)).toBe(false);
  expect(proves(mine.secret, { ...one.verifier, salt: two.verifier.salt })).toBe(false);
  expect(proves(mine.secret, null)).toBe(false);
  expect(one.text).not.toContain(one.verifier.hash);
});

it('equal secrets of two tokens have other hashes', () => {
  let calls = 0;
  // The third of each token is the secret.
  const same = (bytes: number): Uint8Array => new Uint8Array(bytes).fill((calls += 1) % 3 === 0 ? 7 : calls);
  const [one, two] = [makeToken(same), makeToken(same)];
  expect(readToken(one.text)?.secret).toBe(readToken(two.text)?.secret);
  expect(one.verifier.hash).not.toBe(two.verifier.hash);
});

it.each([
  '',
  'ebb_',
  'ebb_1_2',
  `ebb_${'0'.repeat(16)}_${'A'.repeat(64)}`,
  `x ebb_${'0'.repeat(16)}_${'a'.repeat(64)}`,
])('%j is no token', (text) => {
  expect(readToken(text)).toBeNull();
});
