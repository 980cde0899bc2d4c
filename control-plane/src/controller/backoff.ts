import { backoffDelay, type BackoffRule } from '../model/backoff.js';
import type { Clock } from '../model/ports.js';

/** Waits between attempts that fail, doubling from `first` to `most` milliseconds. */
export class Backoff {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #rule: BackoffRule;
  /** Failures since the last success. */
  #failures = 0;
  #retryAt = -Infinity;

  constructor(clock: Pick<Clock, 'monotonic'>, first = 100, most = 2_000) {
    this.#clock = clock;
    this.#rule = { first, most, jitter: 0 };
  }

  /** True if an attempt makes sense now. */
  get over(): boolean {
    return this.#clock.monotonic() >= this.#retryAt;
  }
  /** Monotonic moment from which an attempt makes sense again; Infinity while nothing has failed. */
  get retryAt(): number {
    return this.#failures === 0 ? Infinity : this.#retryAt;
  }

  /** True if it is the first failure after a success. */
  failed(): boolean {
    this.#retryAt = this.#clock.monotonic() + backoffDelay(this.#failures, this.#rule, 0);
    this.#failures += 1;
    return this.#failures === 1;
  }

  /** True if something had failed before. */
  succeeded(): boolean {
    const hadFailed = this.#failures > 0;
    this.#failures = 0;
    this.#retryAt = -Infinity;
    return hadFailed;
  }
}
