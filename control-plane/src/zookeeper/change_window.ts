import type { Clock, Timer } from '../model/ports.js';

/** The first and the longest window. */
const FIRST_MS = 50;
const LAST_MS = 800;

/**
 * While a window is open, changes are only gathered. If some came, the next one is twice as long; after a quiet one it is the first
 * again.
 */
export class ChangeWindow {
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #ms = FIRST_MS;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#timer !== undefined;
  }

  /** `ended` says whether changes came meanwhile. */
  open(ended: () => boolean): void {
    this.#timer = this.#clock.after(this.#ms, () => {
      this.#timer = undefined;
      const came = ended();
      this.#ms = came ? Math.min(LAST_MS, this.#ms * 2) : FIRST_MS;
    });
  }

  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
  }
}
