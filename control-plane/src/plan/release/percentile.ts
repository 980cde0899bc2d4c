import { LATENCY_BOUNDS_MS } from '../../model/latency.js';
import { atLeast } from './binomial.js';

/*
 * A percentile from buckets, as Prometheus' histogram_quantile estimates it
 * (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile): the requests of a bucket are taken to be
 * spread evenly between its bounds, and the lowest bucket begins at 0. Of a percentile in the open bucket only the lower bound is
 * known: there it looks like one at that bound, here it is marked.
 */

/** What is known of a percentile, in milliseconds. `open`: it is at least `ms`, and may be anything above. */
export interface Estimate {
  readonly ms: number;
  readonly open: boolean;
}

/** The `percentile` (0 to 100) of what is in `buckets`; null if they are empty. */
export function percentileOf(buckets: readonly number[], percentile: number): Estimate | null {
  const total = sampled(buckets);
  return total === 0 ? null : valueAt(buckets, (percentile / 100) * total);
}

/** How likely one bound of a percentile is wrong at most, and one verdict on a version that is exactly at its limit twice that. */
export const ALPHA = 0.005;

/** Between which bounds the percentile of all requests lies, of which the buckets are a sample; null = this sample does not show it. */
export interface Bounds {
  readonly lower: Estimate;
  readonly upper: Estimate | null;
}

/**
 * Bounds of the true percentile ξ by order statistics, whatever the distribution (Conover, Practical Nonparametric Statistics, 3rd ed.,
 * 3.2; Hahn and Meeker, Statistical Intervals, 5.2). How many of n samples lie below ξ is binomial with q = percentile / 100, so
 *
 *     lower = the l-th smallest sample, l the largest with P(Bin(n, q) ≤ l − 1) ≤ α
 *     upper = the u-th smallest sample, u the smallest with P(Bin(n, q) ≥ u) ≤ α
 *
 * are each on the wrong side with a chance of at most α (`ALPHA`). There is an upper one only from n ≥ ln α / ln q on: 8 samples for
 * p50, 51 for p90, 104 for p95, 528 for p99. Within a bucket the samples are spread as above.
 */
export function percentileBounds(buckets: readonly number[], percentile: number): Bounds | null {
  const n = sampled(buckets);
  if (n === 0) return null;
  const { lower, upper } = ranks(n, percentile / 100);
  return {
    lower: lower === 0 ? { ms: 0, open: false } : sampleAt(buckets, lower, 'from'),
    upper: upper > n ? null : sampleAt(buckets, upper, 'to'),
  };
}

/** The ranks of the two bounds, from 1; 0 and n + 1 = there is none. Examples: n = 100, p95 → 88 and n + 1; n = 1,000 → 931 and 968. */
export function ranks(n: number, q: number): { readonly lower: number; readonly upper: number } {
  const first = (isTrue: (rank: number) => boolean): number => {
    let [from, to] = [1, n + 1];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (isTrue(middle)) to = middle;
      else from = middle + 1;
    }
    return from;
  };
  return {
    lower: first((rank) => atLeast(rank, n, q) < 1 - ALPHA) - 1,
    upper: first((rank) => atLeast(rank, n, q) <= ALPHA),
  };
}

/** How many requests are in the buckets. */
export function sampled(buckets: readonly number[]): number {
  return buckets.reduce((sum, one) => sum + one, 0);
}

/** Where `rank` of the samples, which need not be whole, lie below. */
function valueAt(buckets: readonly number[], rank: number): Estimate {
  let below = 0;
  for (const [index, upper] of LATENCY_BOUNDS_MS.entries()) {
    const here = buckets[index] ?? 0;
    if (here > 0 && below + here >= rank) {
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      return { ms: lower + (upper - lower) * ((rank - below) / here), open: false };
    }
    below += here;
  }
  return { ms: LATENCY_BOUNDS_MS.at(-1) ?? 0, open: true };
}

/** Where the part of its bucket that belongs to the sample of this rank begins, or ends. */
function sampleAt(buckets: readonly number[], rank: number, end: 'from' | 'to'): Estimate {
  let below = 0;
  for (const [index, upper] of LATENCY_BOUNDS_MS.entries()) {
    const here = buckets[index] ?? 0;
    if (below + here >= rank) {
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      const place = (rank - below - (end === 'from' ? 1 : 0)) / here;
      return { ms: lower + (upper - lower) * place, open: false };
    }
    below += here;
  }
  return { ms: LATENCY_BOUNDS_MS.at(-1) ?? 0, open: true };
}
