import fc from 'fast-check';
import { expect, it } from 'vitest';
import { atLeast } from './binomial.js';

/** By adding up what each count has of chance. */
function added(k: number, n: number, p: number): number {
  let chance = (1 - p) ** n;
  let sum = k <= 0 ? chance : 0;
  for (let x = 1; x <= n; x += 1) {
    chance *= ((n - x + 1) / x) * (p / (1 - p));
    if (x >= k) sum += chance;
  }
  return sum;
}

it.each([
  [1, 1, 0.5, 0.5],
  [0, 5, 0.1, 1],
  [6, 5, 0.9, 0],
  [100, 100, 0.95, 0.95 ** 100],
  [1, 100, 0.01, 1 - 0.99 ** 100],
  [5, 100, 0.01, 0.003432],
  [1, 10, 0, 0],
  [10, 10, 1, 1],
])('at least %i of %i with %f', (k, n, p, chance) => {
  expect(atLeast(k, n, p)).toBeCloseTo(chance, 6);
});

it('is the sum', () => {
  const chance = fc.double({ min: 0.001, max: 0.99, noNaN: true });
  fc.assert(
    fc.property(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 300 }), chance, (k, n, p) => {
      const sum = added(k, n, p);
      // Where the first term is too small for a number there is nothing to add up from.
      fc.pre((1 - p) ** n > 1e-280);
      expect(atLeast(k, n, p)).toBeCloseTo(Math.min(1, sum), 9);
    }),
  );
});

it('is right for the samples of a busy day', () => {
  // Half of what is symmetric, and the normal approximation of the rest.
  expect(atLeast(500_001, 1_000_001, 0.5)).toBeCloseTo(0.5, 9);
  expect(atLeast(9_502_000, 10_000_000, 0.95)).toBeCloseTo(0.001855, 4);
});
