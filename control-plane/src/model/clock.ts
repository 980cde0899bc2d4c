/*
 * Time as a port: what time it is, and everything that waits. The process has one real clock (clock.ts beside main.ts);
 * tests have one that they move by hand (testing/clock.ts). `clock.contract.ts` says what both promise.
 */

/** Milliseconds. `monotonic` never jumps and measures spans; `wall` is for people and for moments that are stored. */
export interface Time {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

/** Something that will happen by the clock, until it is stopped. Stopping it twice, or after the end, does nothing. */
export interface Timer extends Disposable {
  readonly stop: () => void;
}

/** A time limit. Its signal aborts with a `TimeoutError` once the time is over; never, if it was stopped before. */
export interface Deadline extends Timer {
  readonly signal: AbortSignal;
}

/** All spans are milliseconds of monotonic time, never cut short; `Infinity` means never, 0 or less as soon as possible. */
export interface Clock extends Time {
  /** Calls `run` once, `ms` from now, and never before this call has returned. `run` must not throw. */
  readonly after: (ms: number, run: () => void) => Timer;
  /**
   * Calls `run` again and again, each time when the clock passes a multiple of `ms`: so all that is done every second wakes the
   * process once a second. A call that comes late is not made up for.
   * Work that `run` begins is not waited for.
   */
  readonly every: (ms: number, run: () => void) => Timer;
  /** Resolves after `ms`, or as soon as `signal` aborts, and leaves nothing behind. Never rejects: look at the signal. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Stop it when what it limits has ended, or use it with `using`. */
  readonly deadline: (ms: number) => Deadline;
}

/** A clock whose waiting is made of its `after` alone. */
export function completeClock({ monotonic, wall, after }: Time & Pick<Clock, 'after'>): Clock {
  return {
    monotonic,
    wall,
    after,
    every: (ms, run) => {
      let next: Timer;
      const arm = (): void => {
        next = after(ms - (Math.round(monotonic()) % ms), () => {
          arm(); // before `run`, which may stop it
          run();
        });
      };
      arm();
      return timerOf(() => {
        next.stop();
      });
    },
    sleep: (ms, signal) => {
      if (signal?.aborted === true) return Promise.resolve();
      return new Promise((resolve) => {
        const end = (): void => {
          timer.stop();
          signal?.removeEventListener('abort', end);
          resolve();
        };
        const timer = after(ms, end);
        signal?.addEventListener('abort', end, { once: true });
      });
    },
    deadline: (ms) => {
      const late = new AbortController();
      const timer = after(ms, () => {
        late.abort(new DOMException(`${String(ms)} ms are over`, 'TimeoutError'));
      });
      return { ...timer, signal: late.signal };
    },
  };
}

/** A timer that ends by `stop`. */
export function timerOf(stop: () => void): Timer {
  return { stop, [Symbol.dispose]: stop };
}
