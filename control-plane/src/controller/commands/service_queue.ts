import type { Clock } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import { err, type Result } from '../../model/result.js';

/** How long a change waits behind others before it is refused, in milliseconds. */
const MOST_WAIT_MS = 10_000;

/**
 * Lets one client's change of a service decide and write at a time, in the order in which they came, so that changes in
 * parallel do not refuse one another as conflicts. Changes of different services go side by side; one of several services
 * waits for all before it, and all after it wait for it.
 */
export class ServiceQueue {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Service → the end of its newest turn; null = of a turn of several services. */
  readonly #ends = new Map<string | null, Promise<void>>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Runs `work` once it is the turn of `service` (null = of all services); refuses without running it after 10 s. */
  async take<T>(
    service: string | null,
    work: () => Promise<Result<T, Problem>>,
  ): Promise<Result<T, Problem>> {
    const came = this.#clock.monotonic();
    const before =
      service === null ? [...this.#ends.values()] : [this.#ends.get(service), this.#ends.get(null)];
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#ends.set(service, ended);
    for (const turn of before) await turn;
    try {
      return this.#clock.monotonic() - came > MOST_WAIT_MS ? err(busy(service)) : await work();
    } finally {
      end();
      if (this.#ends.get(service) === ended) this.#ends.delete(service);
    }
  }
}

function busy(service: string | null): Problem {
  return {
    code: 'store_unavailable',
    detail: `Other changes of ${service ?? 'several services'} took longer than ${String(MOST_WAIT_MS / 1_000)} s to be written. Nothing was changed. Try again.`,
  };
}
