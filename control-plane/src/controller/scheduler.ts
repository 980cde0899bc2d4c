import type { Clock } from '../model/ports.js';

/**
 * Says when the next pass is due. A passing of time wakes it, an operator's action wakes it at once, and events wake it at
 * once too unless a pass began a moment ago: the sources coalesce bursts themselves, this only bounds the rate.
 * Whatever is asked of it, I/O gets its turn between two passes.
 */
export class Scheduler {
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #spacingMs: number;
  #dueAt = 0;
  #lastBegan = -Infinity;
  #notify: (() => void) | null = null;

  constructor(clock: Pick<Clock, 'monotonic' | 'after'>, spacingMs = 20) {
    this.#clock = clock;
    this.#spacingMs = spacingMs;
  }

  /** An operator waits: now. */
  urge(): void {
    this.#due(-Infinity);
  }

  /** Something changed: now, or as soon as the spacing allows. */
  wake(): void {
    this.#due(this.#lastBegan + this.#spacingMs);
  }

  /** At monotonic moment `at` at the latest, or as soon as the spacing allows: a moment that has passed is no reason to spin. */
  wakeAt(at: number): void {
    this.#due(Math.max(at, this.#lastBegan + this.#spacingMs));
  }

  /** Resolves to true when a pass is due, to false when `signal` aborts. What is due is then taken as done. */
  async next(signal: AbortSignal): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    while (!signal.aborted) {
      const left = this.#dueAt - this.#clock.monotonic();
      if (left <= 0) {
        this.#dueAt = Infinity;
        this.#lastBegan = this.#clock.monotonic();
        return true;
      }
      await this.#sleep(Math.min(left, 60_000), signal);
    }
    return false;
  }

  #due(at: number): void {
    if (at >= this.#dueAt) return;
    this.#dueAt = at;
    this.#notify?.();
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.stop();
        signal.removeEventListener('abort', end);
        this.#notify = null;
        resolve();
      };
      const timer = this.#clock.after(ms, end);
      signal.addEventListener('abort', end, { once: true });
      this.#notify = end;
    });
  }
}
