import type { Clock, Lifecycle, Timer } from '../../model/ports.js';

/** How often this process looks at the clock, and which gap means that it did not run, in milliseconds. */
const LOOK_MS = { every: 1_000, gap: 3_000 };

/** Notices that this process did not run for a while: then the clock has gone on, and nothing that was read has. */
export class Standstill implements Lifecycle {
  readonly #clock: Clock;
  readonly #resumed: (now: number) => void;
  #timer: Timer | undefined;
  #lookedAt: number;

  constructor(clock: Clock, resumed: (now: number) => void) {
    this.#clock = clock;
    this.#resumed = resumed;
    this.#lookedAt = clock.monotonic();
  }

  start(): Promise<void> {
    this.#timer ??= this.#clock.every(LOOK_MS.every, () => {
      this.look();
    });
    return Promise.resolve();
  }

  /** Looks now: nothing is to be decided by a clock that has jumped ahead. */
  look(): void {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt > LOOK_MS.gap) this.#resumed(now);
    this.#lookedAt = now;
  }

  close(): Promise<void> {
    this.#timer?.stop();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
