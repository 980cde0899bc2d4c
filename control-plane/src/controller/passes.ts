import type { Clock } from '../model/ports.js';
import type { Scheduler } from './scheduler.js';

/** How long a change waits for the pass that publishes it, in milliseconds. */
const SETTLED_MS = 1_500;

/** Counts the passes of the loop, and lets others wait for one of them, or for a change of what the reads show. */
export class Passes {
  readonly #scheduler: Scheduler;
  readonly #clock: Pick<Clock, 'deadline'>;
  readonly #stop = new AbortController();
  #begun = 0;
  #ended = 0;
  #watchers = new Set<() => void>();

  constructor(scheduler: Scheduler, clock: Pick<Clock, 'deadline'>) {
    this.#scheduler = scheduler;
    this.#clock = clock;
  }

  begin(): void {
    this.#begun += 1;
  }

  end(): void {
    this.#ended = this.#begun;
    this.#notify();
  }

  /** The next pass begins at once. */
  urge(): void {
    this.#scheduler.urge();
  }

  /** Resolves after a pass that begins from now on, or after a bounded time. */
  async settled(): Promise<void> {
    const target = this.#begun + 1;
    this.#scheduler.urge();
    await this.until(SETTLED_MS, () => this.#ended >= target);
  }

  /** Resolves at the first change after which `done` is true, after `ms`, or when this closes. */
  async until(ms: number, done: () => boolean): Promise<void> {
    using deadline = this.#clock.deadline(ms);
    const { signal } = deadline;
    while (!done() && !signal.aborted && !this.#stop.signal.aborted) await this.changed(signal);
  }

  /** Resolves after `ms`, or when this closes. */
  pause(ms: number): Promise<void> {
    return this.until(ms, () => false);
  }

  /** Resolves at the next change, when `signal` aborts, or when this closes. Never rejects. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end);
        this.#watchers.delete(end);
        resolve();
      };
      if (signal.aborted || this.#stop.signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener('abort', end, { once: true });
      this.#watchers.add(end);
    });
  }

  /** Ends every wait, and each that comes later at once. */
  close(): void {
    this.#stop.abort();
    this.#notify();
  }

  #notify(): void {
    const watchers = this.#watchers;
    this.#watchers = new Set();
    for (const watcher of watchers) watcher();
  }
}
