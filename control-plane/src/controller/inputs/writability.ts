import type { Clock, Lifecycle, LinkState, Log, Publisher, Timer } from '../../model/ports.js';

/** Why a store refuses writes, and since when (milliseconds of the wall clock); null while it takes them. */
export type Refusal = { readonly since: number; readonly reason: string } | null;

export interface WritabilityDeps {
  readonly truthLink: () => LinkState;
  /** Tries to write into the truth store, and changes nothing: null, or why it was refused. */
  readonly probeTruth: () => Promise<string | null>;
  readonly publisher: Pick<Publisher, 'state' | 'probe'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when an answer differs from the one before. */
  readonly wake: () => void;
}

/** A store that can be asked whether it takes writes. */
interface TriedStore {
  readonly name: 'zookeeper' | 'redis';
  readonly link: () => LinkState;
  /** Tries a write that changes nothing: null, or why it was refused. Ends within the store's own time-outs. */
  readonly probe: () => Promise<string | null>;
}

/** How often a store that takes writes is tried, and how often this looks. */
const EVERY_MS = { well: 5_000, look: 500 };

/**
 * Whether both stores take writes: tried, because a store that answers every read may refuse all writes, and nothing shows it
 * before somebody needs one. A store is tried at once when its link is connected, then every 5 s, and twice a second while it refuses.
 */
export class Writability implements Lifecycle {
  readonly #stores: readonly TriedStore[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #refusals = new Map<TriedStore['name'], NonNullable<Refusal>>();
  readonly #triedAt = new Map<TriedStore['name'], number>();
  readonly #running = new Map<TriedStore['name'], Promise<void>>();
  readonly #changed: () => void;
  #timer: Timer | undefined;

  constructor({ clock, log, wake, ...stores }: WritabilityDeps) {
    const { truthLink, probeTruth, publisher } = stores;
    this.#stores = [
      { name: 'zookeeper', link: truthLink, probe: probeTruth },
      { name: 'redis', link: () => publisher.state(), probe: () => publisher.probe() },
    ];
    this.#clock = clock;
    this.#log = log;
    this.#changed = wake;
    const since = clock.wall();
    for (const { name } of this.#stores) this.#refusals.set(name, { since, reason: 'not tried yet' });
  }

  /** Why the store refuses writes as far as is known; a link that is not connected is another matter. */
  refusal(name: TriedStore['name']): Refusal {
    return this.#refusals.get(name) ?? null;
  }

  start(): Promise<void> {
    this.#timer ??= this.#clock.every(EVERY_MS.look, () => {
      this.#look();
    });
    this.#look();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#timer?.stop();
    await Promise.all(this.#running.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #look(): void {
    for (const store of this.#stores) {
      if (this.#running.has(store.name) || store.link().state !== 'connected') continue;
      const tried = this.#triedAt.get(store.name) ?? -Infinity;
      const due = this.#refusals.has(store.name) || this.#clock.monotonic() - tried >= EVERY_MS.well;
      if (due) this.#running.set(store.name, this.#try(store));
    }
  }

  async #try(store: TriedStore): Promise<void> {
    const { name } = store;
    const reason = await store.probe().catch((error: unknown) => String(error));
    this.#triedAt.set(name, this.#clock.monotonic());
    this.#running.delete(name);
    const before = this.#refusals.get(name);
    // What a lost link cost is no refusal: the link itself shows that.
    if (reason !== null && store.link().state !== 'connected') return;
    if (reason === (before?.reason ?? null)) return;
    if (reason === null) {
      this.#refusals.delete(name);
      this.#log.info({ store: name }, 'takes writes');
    } else {
      this.#refusals.set(name, { since: before?.since ?? this.#clock.wall(), reason });
      this.#log.error({ store: name, reason }, 'refuses writes');
    }
    this.#changed();
  }
}
