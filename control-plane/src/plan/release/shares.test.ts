import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Shares } from '../../model/release.js';
import { draws } from '../../testing/draws.js';
import { giveBack, sameShares, shareOf, shiftShares, spellShares } from './shares.js';

const sum = (shares: Readonly<Record<string, number>>): number =>
  Object.values(shares).reduce((total, share) => total + share, 0);

it.each<[string, Shares, number, Shares]>([
  ['a first step', { v1: 100 }, 5, { v1: 95, v2: 5 }],
  ['half', { v1: 100 }, 50, { v1: 50, v2: 50 }],
  ['everything', { v1: 100 }, 100, { v2: 100 }],
  ['back to nothing', { v1: 100 }, 0, { v1: 100 }],
  ['what the target had counts for nothing', { v1: 40, v2: 60 }, 10, { v1: 90, v2: 10 }],
  ['a superseded v9 shrinks in proportion', { v1: 75, v9: 25 }, 20, { v1: 60, v9: 20, v2: 20 }],
  ['what rounding leaves goes to the stable one', { v1: 75, v9: 25 }, 5, { v1: 72, v9: 23, v2: 5 }],
  ['a stable one that had nothing stays without', { v9: 100 }, 5, { v9: 95, v2: 5 }],
  ['and gets no rest of a rounding', { v8: 50, v9: 50 }, 5, { v8: 48, v9: 47, v2: 5 }],
  ['nobody else is left', { v2: 100 }, 30, { v1: 70, v2: 30 }],
])('shift: %s', (_name, base, weight, expected) => {
  expect(shiftShares(base, 'v1', 'v2', weight)).toEqual(expected);
});

it.each<[string, Shares, string[], Shares]>([
  ['both are ready', { v1: 95, v2: 5 }, ['v1', 'v2'], { v1: 95, v2: 5 }],
  ['the target died', { v1: 95, v2: 5 }, ['v1'], { v1: 100 }],
  ['the stable one died', { v1: 95, v2: 5 }, ['v2'], { v2: 100 }],
  ['the target died at 100 %', { v2: 100 }, ['v1'], { v1: 100 }],
  ['of three, one died', { v1: 60, v2: 20, v9: 20 }, ['v1', 'v9'], { v1: 80, v9: 20 }],
  [
    'the stable one died, the larger one inherits',
    { v1: 50, v2: 20, v9: 30 },
    ['v2', 'v9'],
    { v2: 20, v9: 80 },
  ],
  ['only one without a share lives', { v1: 95, v2: 5 }, ['v9'], { v9: 100 }],
  ['nobody lives: nothing changes', { v1: 95, v2: 5 }, [], { v1: 95, v2: 5 }],
])('give back: %s', (_name, shares, ready, expected) => {
  expect(giveBack(shares, 'v1', new Set(ready))).toEqual(expected);
});

const versions = ['v1', 'v2', 'v3', 'v9'];
const anyShares = fc
  .array(fc.tuple(fc.constantFrom(...versions), fc.integer({ min: 1, max: 40 })), { maxLength: 3 })
  .map((parts) => {
    const shares: Record<string, number> = {};
    let left = 100;
    for (const [version, share] of parts) {
      const given = Math.min(share, left);
      shares[version] = (shares[version] ?? 0) + given;
      left -= given;
    }
    shares['v1'] = (shares['v1'] ?? 0) + left;
    return shares;
  });

it('shares sum to 100 in whole percents, whatever is shifted and whoever dies', () => {
  fc.assert(
    fc.property(anyShares, fc.integer({ min: 0, max: 100 }), fc.subarray(versions), (base, weight, ready) => {
      const shifted = shiftShares(base, 'v1', 'v2', weight);
      expect(shareOf(shifted, 'v2')).toBe(weight);
      for (const shares of [shifted, giveBack(shifted, 'v1', new Set(ready))]) {
        expect(sum(shares)).toBe(100);
        expect(Object.values(shares).every((share) => Number.isInteger(share) && share >= 0)).toBe(true);
      }
      if (ready.length > 0)
        for (const [version, share] of Object.entries(giveBack(shifted, 'v1', new Set(ready))))
          expect(share === 0 || ready.includes(version)).toBe(true);
    }),
    { numRuns: draws(2_000) },
  );
});

it('compares and spells shares', () => {
  expect(sameShares({ v1: 100 }, { v1: 100, v2: 0 })).toBe(true);
  expect(sameShares({ v1: 100 }, { v2: 100 })).toBe(false);
  expect(spellShares({ v2: 5, v1: 95 })).toBe('v1 95 %, v2 5 %');
});
