/** How long to wait between tries that fail. */
export interface BackoffRule {
  /** After the first failure, in milliseconds. */
  readonly first: number;
  /** Never longer than this, in milliseconds. */
  readonly most: number;
  /** The share of a wait that chance may take off, 0 … 1: so that many that failed at once do not come back at once. */
  readonly jitter: number;
}

/**
 * Milliseconds to wait after failure number `attempt`, counted from 0: `first`, doubled by every further failure, at most
 * `most`, less up to `jitter` of it. `roll` is a random number, 0 ≤ roll < 1.
 *
 *     {first: 100, most: 3000, jitter: 0.5}, roll 0    →  100, 200, 400, 800, 1600, 3000, 3000, …
 *     the same, roll 0.5                               →   75, 150, 300, …
 */
export function backoffDelay(attempt: number, { first, most, jitter }: BackoffRule, roll: number): number {
  return Math.min(most, first * 2 ** attempt) * (1 - jitter * roll);
}
