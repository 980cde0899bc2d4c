import type { Election } from '../../model/election.js';
import type { Clock, Log, Publisher } from '../../model/ports.js';
import { Backoff } from '../backoff.js';
import type { Leadership } from './leadership.js';

/** How long a leader may be without a connection to Redis. A server that restarts is back sooner. */
const AWAY_MS = 5_000;
/** The waits between two handovers of this controller: where Redis is away for all, leadership must not go to and fro for ever. */
const AGAIN_MS = { first: 15_000, most: 600_000 };

export interface HandoverDeps {
  readonly leadership: Pick<Leadership, 'mayWrite'>;
  readonly election: Pick<Election, 'members' | 'resign'>;
  readonly publisher: Pick<Publisher, 'state'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/**
 * A leader that is cut off from Redis can decide and not publish, and another controller may not be cut off: it gives its place up
 * where somebody else takes part. What it has decided is in ZooKeeper, and the next one publishes it.
 */
export class Handover {
  readonly #deps: HandoverDeps;
  readonly #backoff: Backoff;
  /** Since when, monotonic, it leads without Redis; null while it does not. */
  #since: number | null = null;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.clock, AGAIN_MS.first, AGAIN_MS.most);
  }

  /** Looks once. */
  async look(): Promise<void> {
    const { leadership, election, publisher, clock, log } = this.#deps;
    const isAway = publisher.state().state !== 'connected';
    if (!leadership.mayWrite || !isAway) {
      this.#since = null;
      const wasQuiet = this.#backoff.retryAt < clock.monotonic() - AGAIN_MS.most;
      if (leadership.mayWrite && wasQuiet) this.#backoff.succeeded();
      return;
    }
    this.#since ??= clock.monotonic();
    if (clock.monotonic() - this.#since < AWAY_MS || !this.#backoff.over) return;
    const members = await election.members();
    if (!members.ok || members.value.length < 2) return;
    this.#since = null;
    this.#backoff.failed();
    log.warn({}, 'Redis cannot be reached from here; another controller may lead');
    election.resign();
  }
}
