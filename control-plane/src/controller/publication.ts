import type { Clock, Log, Office, Publisher, Term } from '../model/ports.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import { encode } from '../plan/encode.js';

/*
 * The controller's hand on Redis. It holds an office (an epoch) or wants one:
 *
 *   unread    what Redis holds has not been read since the last doubt
 *   read      known; no office yet, or the office was not opened in Redis
 *   open      sets may be published under the epoch; some still stand under an older one
 *   sealed    every set stands under this epoch
 *   fenced    another controller opened a higher epoch: this one never writes again
 *
 * Any doubt about Redis (reconnected, another server, lost data) leads back to unread, and so to a new epoch with
 * every set published again: one way of recovery for all doubts.
 */

export type PublicationState = 'unread' | 'read' | 'open' | 'sealed' | 'fenced';

/** How many publishes may be under way at once. */
const IN_FLIGHT = 64;
const BACKOFF_MS = { first: 100, most: 2_000 };

export interface PublicationDeps {
  readonly publisher: Publisher;
  readonly office: Office;
  readonly clock: Clock;
  readonly log: Log;
  /** The highest epoch any gateway reports; 0 if none. */
  readonly highestHeard: () => number;
  /** What Redis held when it was first read. */
  readonly onFirstRead: (published: readonly PublishedDocument[]) => void;
}

export class Publication {
  readonly #deps: PublicationDeps;
  #state: PublicationState = 'unread';
  #since: number;
  #term: Term | null = null;
  #termSpent = false;
  #firstRead = true;
  #redisEpoch = 0;
  #lastGeneration = 0;
  #published = new Map<string, PublishedDocument>();
  /** Where a service's set stands in Redis, as far as known; the publish script insists on it. */
  #standing = new Map<string, number>();
  #backoff = 0;
  #retryAt = -Infinity;

  constructor(deps: PublicationDeps) {
    this.#deps = deps;
    this.#since = deps.clock.wall();
  }

  /** Wall-clock milliseconds since which the state is what it is. */
  get since(): number {
    return this.#since;
  }
  get state(): PublicationState {
    return this.#state;
  }
  get term(): Term | null {
    return this.#term;
  }
  get published(): ReadonlyMap<string, PublishedDocument> {
    return this.#published;
  }
  /** When trying again makes sense; Infinity while nothing has failed. */
  get retryAt(): number {
    return this.#backoff === 0 ? Infinity : this.#retryAt;
  }

  /** Redis may not be what it was: read it again, under a new epoch. */
  doubt(reason: string): void {
    if (this.#state === 'fenced' || (this.#state === 'unread' && this.#firstRead)) return;
    this.#deps.log.warn({ reason, epoch: this.#term?.epoch }, 'Redis is in doubt; taking a new epoch');
    this.#enter('unread');
    this.#termSpent = true;
  }

  /** ZooKeeper told that another controller is in office. */
  fence(): void {
    if (this.#state !== 'fenced')
      this.#deps.log.error({ epoch: this.#term?.epoch }, 'out of office; not writing any more');
    this.#enter('fenced');
  }

  /** Works towards an open epoch; true once sets may be published. */
  async prepare(): Promise<boolean> {
    if (this.#state === 'fenced') return false;
    if (this.#state === 'open' || this.#state === 'sealed') return true;
    if (this.#deps.clock.monotonic() < this.#retryAt) return false;
    if (this.#state === 'unread' && !(await this.#read())) return false;
    if ((this.#term === null || this.#termSpent) && !(await this.#takeOffice())) return false;
    return this.#open();
  }

  /** Publishes what differs from what stands, and seals once all stands. `documents` is all that should be there. */
  async publishAll(documents: ReadonlyMap<string, EncodedDocument>): Promise<void> {
    const { epoch } = this.#term ?? { epoch: -1 };
    const gone = [...this.#published.values()].filter(
      (one) => !documents.has(one.service) && !('removed' in one.document),
    );
    const tombstones = gone.map((one) => encode({ v: 1, service: one.service, removed: true }));
    const kept = [...this.#published.values()].filter(
      (one) => !documents.has(one.service) && 'removed' in one.document,
    );
    const due = [...documents.values(), ...tombstones, ...kept].filter((one) => {
      const standing = this.#published.get(one.service);
      return standing?.epoch !== epoch || standing.hash !== one.hash;
    });
    const queue = due.values();
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, due.length) }, () => this.#drainQueue(queue)));
    if (this.#state === 'open' && this.#backoff === 0 && this.#allStand(documents)) await this.#seal();
  }

  /** True if the set of `service` in Redis is `hash`, under the present epoch. */
  stands(service: string, hash: string): boolean {
    const published = this.#published.get(service);
    return published?.hash === hash && published.epoch === this.#term?.epoch;
  }

  #allStand(documents: ReadonlyMap<string, EncodedDocument>): boolean {
    return [...documents.values()].every((one) => this.stands(one.service, one.hash));
  }

  async #drainQueue(queue: Iterator<EncodedDocument>): Promise<void> {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      if (this.#state !== 'open' && this.#state !== 'sealed') return;
      if (!(await this.#publishOne(next.value))) return;
    }
  }

  /** False when going on with others makes no sense now. */
  async #publishOne(encoded: EncodedDocument, mayRetry = true): Promise<boolean> {
    const term = this.#term;
    if (!term) return false;
    const at = new Date(this.#deps.clock.wall()).toISOString();
    const answer = await this.#deps.publisher.publish({
      epoch: term.epoch,
      last_generation: this.#lastGeneration,
      expected_generation: this.#standing.get(encoded.service) ?? 0,
      at,
      encoded,
    });
    if (this.#term !== term) return false;
    switch (answer.kind) {
      case 'published':
      case 'same':
        this.#lastGeneration = Math.max(this.#lastGeneration, answer.generation);
        this.#standing.set(encoded.service, answer.generation);
        this.#published.set(encoded.service, {
          ...encoded,
          epoch: term.epoch,
          generation: answer.generation,
          at,
        });
        this.#succeeded();
        return true;
      case 'conflict':
        // Our own earlier write that seemed to fail, or one of the epoch before: what is wanted now goes on top.
        this.#standing.set(encoded.service, answer.generation);
        if (mayRetry) return this.#publishOne(encoded, false);
        this.#failed(`the set of ${encoded.service} moves under the hand`);
        return true;
      case 'lost':
        this.doubt('Redis has lost data');
        return false;
      case 'fenced':
        this.fence();
        return false;
      case 'unavailable':
        this.#failed(answer.reason);
        return false;
    }
  }

  async #read(): Promise<boolean> {
    const meta = await this.#deps.publisher.meta();
    const sets = meta.ok ? await this.#deps.publisher.sets() : meta;
    if (!meta.ok || !sets.ok) {
      this.#failed(meta.ok ? (sets.ok ? '' : sets.error) : meta.error);
      return false;
    }
    const documents = sets.value as readonly PublishedDocument[];
    this.#redisEpoch = Math.max(this.#redisEpoch, meta.value?.epoch ?? 0);
    this.#published = new Map(documents.map((one) => [one.service, one]));
    this.#standing = new Map(documents.map((one) => [one.service, one.generation]));
    if (this.#firstRead) this.#deps.onFirstRead(documents);
    this.#firstRead = false;
    this.#enter('read');
    return true;
  }

  async #takeOffice(): Promise<boolean> {
    const { clock, highestHeard, log, office } = this.#deps;
    const floor = Math.max(this.#redisEpoch + 1, highestHeard() + 1, Math.floor(clock.wall() / 1000));
    const taken = await office.take(floor);
    if (!taken.ok) {
      this.#failed(`office: ${taken.error.kind}`);
      return false;
    }
    this.#term = taken.value;
    this.#termSpent = false;
    log.info({ epoch: taken.value.epoch }, 'took office');
    return true;
  }

  async #open(): Promise<boolean> {
    if (!this.#term) return false;
    const answer = await this.#deps.publisher.open(this.#term.epoch);
    if (answer.kind === 'unavailable') {
      this.#failed(answer.reason);
      return false;
    }
    if (answer.kind === 'fenced') {
      // Redis remembers more than ZooKeeper did: go above it.
      this.#redisEpoch = Math.max(this.#redisEpoch, answer.epoch);
      this.#termSpent = true;
      this.#failed(`Redis is at epoch ${String(answer.epoch)} already`);
      return false;
    }
    this.#lastGeneration = answer.generation;
    this.#enter('open');
    this.#succeeded();
    return true;
  }

  async #seal(): Promise<void> {
    if (!this.#term) return;
    const answer = await this.#deps.publisher.seal(this.#term.epoch);
    if (answer.kind === 'sealed') {
      this.#enter('sealed');
      this.#deps.log.info({ epoch: this.#term.epoch, sets: this.#published.size }, 'sealed');
    } else if (answer.kind === 'fenced') this.fence();
    else if (answer.kind === 'lost') this.doubt('Redis has lost data');
    else this.#failed(answer.reason);
  }

  /** The one setter of the state. */
  #enter(state: PublicationState): void {
    if (state !== this.#state) this.#since = this.#deps.clock.wall();
    this.#state = state;
  }

  #succeeded(): void {
    if (this.#backoff > 0) this.#deps.log.info({}, 'Redis takes writes again');
    this.#backoff = 0;
    this.#retryAt = -Infinity;
  }

  #failed(reason: string): void {
    if (this.#backoff === 0) this.#deps.log.warn({ reason }, 'cannot publish; will try again');
    this.#backoff = Math.min(BACKOFF_MS.most, Math.max(BACKOFF_MS.first, this.#backoff * 2));
    this.#retryAt = this.#deps.clock.monotonic() + this.#backoff;
  }
}
