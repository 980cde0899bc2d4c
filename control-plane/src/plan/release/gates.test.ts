import { describe, expect, it } from 'vitest';
import { type Counts, DEFAULT_GATES, type Window } from '../../model/release_gates.js';
import { buildCounts as counts } from '../../testing/releases.js';
import {
  addCounts,
  countsSince,
  fastVerdict,
  NO_COUNTS,
  readGates,
  spellReading,
  verdictOf,
} from './gates.js';

const window = (stable: Counts, target: Counts): Window => ({
  watcher: 'run-1',
  last: { stable: NO_COUNTS, target: NO_COUNTS },
  sum: { stable, target },
});

const outliers = (requests: number, slow: number): Counts =>
  addCounts(counts(requests - slow, 0, 10), counts(slow, 0, 900));
/** Most at 2.5 ms, `slow` at 35 ms. */
const few = (requests: number, slow: number): Counts =>
  addCounts(counts(requests - slow, 0, 2.5), counts(slow, 0, 35));
const timeless = (requests: number): Counts => ({ ...counts(requests), buckets: NO_COUNTS.buckets });

describe('gates', () => {
  it.each<[string, Counts, Counts, boolean, string]>([
    ['both are well', counts(900), counts(100), true, 'pass'],
    ['one error in a hundred is put up with', counts(900), counts(100, 1), true, 'pass'],
    ['above the percentage, and it may be chance', counts(900), counts(100, 2), true, 'inconclusive'],
    ['one error of fifty proves nothing', counts(900), counts(50, 1), true, 'inconclusive'],
    ['above the percentage, by more than chance', counts(900), counts(100, 5), true, 'fail'],
    ['the same rate of more requests', counts(9_000), counts(2_000, 40), true, 'fail'],
    ['as bad as the stable one', counts(900, 90), counts(100, 10), true, 'pass'],
    ['twice as bad as the stable one is the limit', counts(900, 90), counts(100, 20), true, 'pass'],
    ['more than twice as bad, and it may be chance', counts(900, 90), counts(100, 21), true, 'inconclusive'],
    ['more than twice as bad', counts(900, 90), counts(100, 40), true, 'fail'],
    ['slow, within the slack', counts(900, 0, 1), counts(100, 0, 10), true, 'pass'],
    ['p95 is not moved by four slow ones in a hundred', counts(900), outliers(100, 4), true, 'pass'],
    ['six move it, and may be chance', counts(900), outliers(100, 6), true, 'inconclusive'],
    ['thirteen cannot be', counts(900), outliers(100, 13), true, 'fail'],
    ['two slow ones of 33 are no difference', counts(900, 0, 2.5), few(33, 2), true, 'inconclusive'],
    ['slow throughout, of 60', counts(900), counts(60, 0, 900), true, 'fail'],
    [
      'the stable one has too few for a bound of its p95',
      counts(103),
      counts(900, 0, 900),
      true,
      'inconclusive',
    ],
    ['and one more', counts(104), counts(900, 0, 900), true, 'fail'],
    ['both beyond the last bound', counts(900, 0, 40_000), counts(100, 0, 40_000), true, 'inconclusive'],
    ['the target alone beyond it', counts(900), counts(100, 0, 40_000), true, 'fail'],
    ['beyond it, and the limit too', counts(900, 0, 25_000), counts(100, 0, 40_000), true, 'inconclusive'],
    ['the stable one alone beyond it', counts(900, 0, 40_000), counts(100, 0, 29_000), true, 'pass'],
    ['no times, as of WebSockets', counts(900), timeless(100), true, 'inconclusive'],
    ['three times as slow', counts(900, 0, 100), counts(100, 0, 300), true, 'fail'],
    ['too few of the target', counts(900), counts(49, 49), true, 'inconclusive'],
    ['too few of the stable one', counts(49), counts(100), true, 'inconclusive'],
    ['nothing to compare with, and well', counts(0), counts(100), false, 'pass'],
    ['nothing to compare with, and bad', counts(0), counts(100, 5), false, 'fail'],
    [
      'nothing to compare with: latency has no verdict of its own',
      counts(0),
      counts(100, 0, 9_999),
      false,
      'pass',
    ],
  ])('%s', (_name, stable, target, compared, expected) => {
    const gates = { ...DEFAULT_GATES, min_samples: target.requests === 33 ? 20 : 50 };
    expect(verdictOf(readGates(gates, window(stable, target), compared))).toBe(expected);
  });
  it('passes where none is asked for, and knows nothing without a window', () => {
    expect(verdictOf(readGates({ ...DEFAULT_GATES, errors: null, latency: null }, null, true))).toBe('pass');
    expect(verdictOf(readGates(DEFAULT_GATES, null, true))).toBe('inconclusive');
  });
  it('spells what it read', () => {
    const [errors, latency] = readGates(DEFAULT_GATES, window(counts(900, 9), counts(100, 9)), true);
    expect(spellReading(errors!)).toBe('errors 9 % of 100 requests, stable 1 % of 900, limit 2 %: fail');
    expect(spellReading(latency!)).toBe(
      'latency p95 9.9 ms of 100 requests, stable 9.9 ms of 900, limit 29.8 ms: pass',
    );
    const [, slow] = readGates(
      { ...DEFAULT_GATES, min_samples: 20 },
      window(counts(900, 0, 2.5), few(33, 2)),
      true,
    );
    expect(spellReading(slow!)).toBe(
      'latency p95 33.4 ms of 33 requests, stable 3 ms of 900, limit 15.9 ms: inconclusive ' +
        '(so few requests show only that it is above 2.8 ms, and the stable version below 3 ms)',
    );
  });
});

describe('the fast gate', () => {
  it.each<[string, Counts, Counts, boolean]>([
    ['well', counts(900), counts(50), false],
    ['49 requests are too few', counts(900), counts(49, 49), false],
    ['18 %', counts(900), counts(50, 9), false],
    ['20 %', counts(900), counts(50, 10), true],
    ['22 %, while the stable one has 5 %', counts(100, 5), counts(50, 11), false],
    ['25 %, while the stable one has 5 %', counts(100, 5), counts(100, 25), true],
    ['no stable traffic', counts(0), counts(50, 50), true],
  ])('%s', (_name, stable, target, speaks) => {
    expect(fastVerdict(stable, target) !== null).toBe(speaks);
  });
});

it('totals that went back add nothing', () => {
  expect(countsSince(counts(10, 1), counts(4, 1))).toEqual(counts(6));
  expect(countsSince(counts(3), counts(4))).toEqual(NO_COUNTS);
  expect(countsSince(counts(9, 0, 1), counts(4, 0, 2))).toEqual(NO_COUNTS);
});
