import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bucketOf, LATENCY_BUCKETS } from '../../model/latency.js';
import { percentileOf } from './percentile.js';

const buckets = (filled: Readonly<Record<number, number>>): readonly number[] =>
  Array.from({ length: LATENCY_BUCKETS }, (_, index) => filled[index] ?? 0);

it.each<[string, Readonly<Record<number, number>>, number, { ms: number; open: boolean } | null]>([
  ['nothing', {}, 95, null],
  ['the first bucket begins at 0', { 0: 100 }, 50, { ms: 0.5, open: false }],
  ['half of 20 to 25', { 11: 10 }, 50, { ms: 22.5, open: false }],
  ['95 % of 20 to 25', { 11: 10 }, 95, { ms: 24.75, open: false }],
  ['on the edge of a bucket', { 11: 95, 14: 5 }, 95, { ms: 25, open: false }],
  ['just above it', { 11: 90, 14: 10 }, 95, { ms: 45, open: false }],
  ['an outlier moves p99, not p95', { 11: 98, 30: 2 }, 95, { ms: 20 + 5 * (95 / 98), open: false }],
  ['in the open bucket', { 11: 90, 43: 10 }, 95, { ms: 30_000, open: true }],
])('%s', (_name, filled, percentile, expected) => {
  const found = percentileOf(buckets(filled), percentile);
  if (expected === null) expect(found).toBe(null);
  else expect(found).toEqual({ ms: expect.closeTo(expected.ms, 6) as number, open: expected.open });
});

it('is off by less than a third of the true one, or by a millisecond', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 29_000, noNaN: true }), { minLength: 20, maxLength: 200 }),
      fc.constantFrom(50, 90, 95, 99),
      (times, percentile) => {
        const sorted = times.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil((percentile / 100) * sorted.length) - 1] ?? 0;
        const filled = Array<number>(LATENCY_BUCKETS).fill(0);
        for (const time of times) filled[bucketOf(time)] = (filled[bucketOf(time)] ?? 0) + 1;
        const estimate = percentileOf(filled, percentile);
        expect(estimate?.open).toBe(false);
        expect(Math.abs((estimate?.ms ?? 0) - exact)).toBeLessThanOrEqual(Math.max(1, 0.34 * exact));
      },
    ),
  );
});
