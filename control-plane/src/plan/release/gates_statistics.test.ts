import { expect, it } from 'vitest';
import { bucketOf, LATENCY_BUCKETS } from '../../model/latency.js';
import { type Counts, DEFAULT_GATES, type Gates, PERCENTILES } from '../../model/release_gates.js';
import { draws } from '../../testing/draws.js';
import { NO_COUNTS, readGates, verdictOf } from './gates.js';
import { ALPHA, ranks } from './percentile.js';

/*
 * What docs/how-to/release-gates.md promises of samples: how often a version that is as good as the stable one fails, and how surely one that is
 * not is found. Drawn from a seed, so that every run checks the same samples.
 */

/** Uniform in [0, 1): mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Times = (random: () => number) => number;
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const SHAPES: Readonly<Record<string, Times>> = {
  'a long tail': (random) => 20 * Math.exp(0.8 * normal(random)),
  exponential: (random) => -30 * Math.log(1 - random()),
  'mostly from a cache': (random) => (random() < 0.93 ? 2 + random() : 200 + 100 * random()),
  'all alike': (random) => 50 + random(),
};

function sample(times: Times, requests: number, random: () => number, slower = 1, errors = 0): Counts {
  const buckets = Array<number>(LATENCY_BUCKETS).fill(0);
  let failed = 0;
  for (let n = 0; n < requests; n += 1) {
    const bucket = bucketOf(slower * times(random));
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    if (random() < errors) failed += 1;
  }
  return { requests, errors: failed, ms: 0, buckets };
}

function failing(gates: Gates, runs: number, draw: () => { stable: Counts; target: Counts }): number {
  const last = { stable: NO_COUNTS, target: NO_COUNTS };
  let failed = 0;
  for (let run = 0; run < runs; run += 1)
    if (verdictOf(readGates(gates, { watcher: '', last, sum: draw() }, true)) === 'fail') failed += 1;
  return failed / runs;
}

const LATENCY = { ...DEFAULT_GATES, errors: null, min_samples: 10 };
const ERRORS = { ...DEFAULT_GATES, latency: null, min_samples: 10 };
const RUNS = draws(1_000);
/** What is at most 1 in 100 shows at most so much in as many runs, but for one time in a thousand. */
const BOUND = 2 * ALPHA + 3.1 * Math.sqrt((2 * ALPHA * (1 - 2 * ALPHA)) / RUNS);

it.each(
  Object.entries(SHAPES).flatMap(([name, times]) =>
    [33, 150, 600].flatMap((requests) =>
      PERCENTILES.map((percentile) => ({ name, times, requests, percentile })),
    ),
  ),
)('$name, $requests requests, p$percentile: the same version fails in at most 1 of 100', (row) => {
  const random = randomFrom(row.requests * 100 + row.percentile);
  const latency = { percentile: row.percentile, slack_ms: 0, ratio: 1 };
  const rate = failing({ ...LATENCY, latency }, RUNS, () => ({
    stable: sample(row.times, 2 * row.requests, random),
    target: sample(row.times, row.requests, random),
  }));
  expect(rate).toBeLessThanOrEqual(BOUND);
});

it.each([
  [60, 1_000, 6],
  [200, 1_000, 4],
  [1_000, 1_000, 3.5],
])(
  '%i requests (stable: %i) find p95 above its limit of 2 and 10 ms when it is %f × as long',
  (target, stable, slower) => {
    const random = randomFrom(target);
    const found = failing(LATENCY, 400, () => ({
      stable: sample(SHAPES['a long tail']!, stable, random),
      target: sample(SHAPES['a long tail']!, target, random, slower),
    }));
    expect(found).toBeGreaterThan(0.9);
  },
);

it.each([50, 200, 1_000])('%i requests with 1 % of errors each fail in at most 1 of 100', (requests) => {
  const random = randomFrom(requests);
  const rate = failing(ERRORS, RUNS, () => ({
    stable: sample(SHAPES['all alike']!, requests, random, 1, 0.01),
    target: sample(SHAPES['all alike']!, requests, random, 1, 0.01),
  }));
  expect(rate).toBeLessThanOrEqual(BOUND);
});

it.each([
  [50, 0.25],
  [200, 0.07],
  [1_000, 0.03],
])('%i requests find %f of errors where the stable version has none', (requests, errors) => {
  const random = randomFrom(requests);
  const found = failing(ERRORS, 400, () => ({
    stable: sample(SHAPES['all alike']!, 1_000, random),
    target: sample(SHAPES['all alike']!, requests, random, 1, errors),
  }));
  expect(found).toBeGreaterThan(0.9);
});

it.each([
  [7, 0.5, 0, 8],
  [8, 0.5, 1, 8],
  [33, 0.95, 27, 34],
  [50, 0.9, 39, 51],
  [51, 0.9, 40, 51],
  [103, 0.95, 91, 104],
  [104, 0.95, 92, 104],
  [527, 0.99, 515, 528],
  [528, 0.99, 516, 528],
  [1_000, 0.95, 931, 968],
])('of %i samples the bounds of q = %f are the samples %i and %i', (n, q, lower, upper) => {
  expect(ranks(n, q)).toEqual({ lower, upper });
});
