import type { Clock } from '../model/ports.js';

/** Waits between attempts that fail, doubling from `firstMs` to `mostMs`. */
export class Backoff {
  readonly #clock: Clock;
  readonly #firstMs: number;
  readonly #mostMs: number;
  #waitMs = 0;
  #retryAt = -Infinity;

  constructor(clock: Clock, firstMs = 100, mostMs = 2_000) {
    this.#clock = clock;
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
  }

  /** True if an attempt makes sense now. */
  get over(): boolean {
    return this.#clock.monotonic() >= this.#retryAt;
  }
  /** Monotonic moment from which an attempt makes sense again; Infinity while nothing has failed. */
  get retryAt(): number {
    return this.#waitMs === 0 ? Infinity : this.#retryAt;
  }

  /** True if it is the first failure after a success. */
  failed(): boolean {
    const first = this.#waitMs === 0;
    this.#waitMs = Math.min(this.#mostMs, Math.max(this.#firstMs, this.#waitMs * 2));
    this.#retryAt = this.#clock.monotonic() + this.#waitMs;
    return first;
  }

  /** True if something had failed before. */
  succeeded(): boolean {
    const troubled = this.#waitMs > 0;
    this.#waitMs = 0;
    this.#retryAt = -Infinity;
    return troubled;
  }
}
