import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesGlob, parseGlob } from './glob.js';

describe('matchesGlob', () => {
  it.each([
    ['*', '', true],
    ['*', '@routes', true],
    ['shop', 'shop', true],
    ['shop', 'shop2', false],
    ['shop', 'sho', false],
    ['shop-*', 'shop-eu', true],
    ['shop-*', 'shop-', true],
    ['shop-*', 'shop', false],
    ['*-eu', 'shop-eu', true],
    ['*-eu', 'shop-eu-2', false],
    ['a*b*c', 'a1b2b3c', true],
    ['a*b*c', 'acb', false],
    ['s.op', 'shop', false],
    ['', 'shop', false],
    ['', '', true],
  ])('%j and %j: %s', (glob, name, is) => {
    expect(matchesGlob(glob, name)).toBe(is);
  });

  it('says the same as a regular expression', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '*', '.'), { maxLength: 8 });
    const names = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 10 });
    fc.assert(
      fc.property(letters, names, (pattern, name) => {
        const text = pattern.map((one) => (one === '*' ? '.*' : one === '.' ? '\\.' : one)).join('');
        expect(matchesGlob(pattern.join(''), name.join(''))).toBe(
          new RegExp(`^${text}$`).test(name.join('')),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('ends soon for a pattern that would have a regular expression try for ever', () => {
    expect(matchesGlob(`${'a*'.repeat(60)}b`, 'a'.repeat(128))).toBe(false);
  });
});

it.each(['shop', 'shop-*', '*', 'GW_1.*'])('%j is a pattern', (text) => {
  expect(parseGlob(text)).toEqual({ ok: true, value: text });
});
it.each(['', 'a b', 'shop,cart', '@routes', 'a/b', 'a'.repeat(129)])('%j is none', (text) => {
  expect(parseGlob(text).ok).toBe(false);
});
