import { LATENCY_BOUNDS_MS } from '../../model/latency.js';

/*
 * A percentile from buckets, as Prometheus' histogram_quantile estimates it
 * (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile): the requests of a bucket are taken to be
 * spread evenly between its bounds, and the lowest bucket begins at 0. Of a percentile in the open bucket only the lower bound is
 * known: there it looks like one at that bound, here it is told apart.
 */

/** What is known of a percentile, in milliseconds. `open`: it is at least `ms`, and may be anything above. */
export interface Estimate {
  readonly ms: number;
  readonly open: boolean;
}

/** The `percentile` (0 to 100) of what `buckets` hold; null if they are empty. */
export function percentileOf(buckets: readonly number[], percentile: number): Estimate | null {
  const total = sampled(buckets);
  if (total === 0) return null;
  const rank = (percentile / 100) * total;
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

/** How many requests the buckets hold. */
export function sampled(buckets: readonly number[]): number {
  return buckets.reduce((sum, one) => sum + one, 0);
}
