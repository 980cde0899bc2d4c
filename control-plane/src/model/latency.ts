/*
 * The histogram of docs/contract/wire.md, as the gateways count it.
 */

/** Upper bounds in milliseconds; what is above the last is in one more bucket. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640,
  800, 1_000, 1_250, 1_600, 2_000, 2_500, 3_200, 4_000, 5_000, 6_400, 8_000, 10_000, 12_500, 16_000, 20_000,
  25_000, 30_000,
];

/** A count per bucket, not cumulated: always this many. */
export const LATENCY_BUCKETS = LATENCY_BOUNDS_MS.length + 1;

/** The bucket, from 0, that a time in milliseconds belongs to. */
export function bucketOf(ms: number): number {
  const found = LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
  return found === -1 ? LATENCY_BUCKETS - 1 : found;
}
