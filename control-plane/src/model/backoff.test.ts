import { expect, test } from 'vitest';
import { backoffDelay } from './backoff.js';

test.each([
  [0, [100, 200, 400, 800, 1_600, 3_000, 3_000]],
  [0.5, [75, 150, 300, 600, 1_200, 2_250, 2_250]],
])('doubles up to the most, less what the roll %d takes off', (roll, expected) => {
  const rule = { first: 100, most: 3_000, jitter: 0.5 };
  expect(expected.map((_, attempt) => backoffDelay(attempt, rule, roll))).toEqual(expected);
});

test('however often it failed, the wait is the longest one', () => {
  expect(backoffDelay(1e6, { first: 50, most: 1_000, jitter: 0 }, 0.9)).toBe(1_000);
});
