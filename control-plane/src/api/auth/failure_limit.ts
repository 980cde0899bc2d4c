import type { Time } from '../../model/clock.js';
import { plainAddress } from '../plain_address.js';

/** So many failures at once, then one every so often. */
export const BURST = 20;
const EVERY_MS = 1_000;
/** Addresses that are remembered; the one that failed longest ago goes first. */
const MOST_ADDRESSES = 10_000;

interface Bucket {
  /** Failures left. */
  readonly left: number;
  readonly at: number;
}

/**
 * Limits failed tries per address, so that nobody can guess. An IPv6 host chooses its lower 64 bits freely: its network counts.
 * An attacker with many networks makes others forgotten, and gains the burst for each again; memory stays bounded.
 */
export class FailureLimit {
  readonly #clock: Pick<Time, 'monotonic'>;
  readonly #burst: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Pick<Time, 'monotonic'>, burst = BURST) {
    this.#clock = clock;
    this.#burst = burst;
  }

  /** How many whole seconds `address` has to wait before it may fail again; 0 = it may. */
  wait(address: string): number {
    const left = this.#left(networkOf(address));
    return left >= 1 ? 0 : Math.max(1, Math.ceil(((1 - left) * EVERY_MS) / 1_000));
  }

  /** Counts a failed try. */
  failed(address: string): void {
    const key = networkOf(address);
    const left = Math.max(0, this.#left(key) - 1);
    this.#buckets.delete(key);
    this.#buckets.set(key, { left, at: this.#clock.monotonic() });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MOST_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #left(key: string): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return this.#burst;
    return Math.min(this.#burst, bucket.left + (this.#clock.monotonic() - bucket.at) / EVERY_MS);
  }
}

function networkOf(given: string): string {
  const address = plainAddress(given);
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const whole = [...groups, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
