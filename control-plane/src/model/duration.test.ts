import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.js';

it.each([
  ['1500ms', 1_500],
  ['90s', 90_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
  ['0s', 0],
])('reads %s', (text, ms) => {
  expect(parseDuration(text)).toEqual({ ok: true, value: ms });
});

it.each(['', '5', 's', '-5s', '1.5s', '5 s', '5S', '1m30s', '9999999999s'])('refuses %j', (text) => {
  expect(parseDuration(text).ok).toBe(false);
});

it('reads back what it writes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 900_000_000 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, value: ms });
    }),
  );
});
