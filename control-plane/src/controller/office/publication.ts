import type { Clock, Log, Publisher } from '../../model/ports.js';
import type { EncodedDocument, PublishedDocument } from '../../model/set.js';
import { Backoff } from '../backoff.js';
import type { Answer, Leadership } from './leadership.js';
import { publishSets } from './publish_sets.js';
import { doubtOf, PublishedSets } from './published_sets.js';

/*
 * What is published in Redis, under the epoch of this controller's leadership:
 *
 *   unread    what is in Redis has not been read since the last doubt
 *   read      known; the epoch is not opened in Redis
 *   open      sets may be published under the epoch; some are still published under an older one
 *   sealed    every set is published under this epoch
 *
 * Any doubt about Redis (reconnected, another server, lost data, a higher epoch) leads back to unread, and so to a
 * new epoch with every set published again: one way of recovery for all doubts. A standby stays unread and writes nothing.
 */

export type PublicationState = 'unread' | 'read' | 'open' | 'sealed';

/** How often Redis is asked whether what was written is still there: a FLUSHALL is reported to nobody. */
const LOOK_MS = 1_000;

export interface PublicationDeps {
  readonly leadership: Leadership;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
  /** What was in Redis when it was first read. */
  readonly onFirstRead: (published: readonly PublishedDocument[]) => void;
}

export class Publication {
  readonly #deps: PublicationDeps;
  readonly #backoff: Backoff;
  readonly #leadership: Leadership;
  #state: PublicationState = 'unread';
  #since: number;
  #doubts = 0;
  #redisEpoch = 0;
  /** What Redis was found to contain, until it is known under which epoch to go on. */
  #found: readonly PublishedDocument[] | null = null;
  readonly #sets = new PublishedSets();
  #lookAt = -Infinity;
  #verifiedAt = -Infinity;

  constructor(deps: PublicationDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.clock);
    this.#since = deps.clock.wall();
    this.#leadership = deps.leadership;
  }

  /** Wall-clock milliseconds since which the state is what it is. */
  get since(): number {
    return this.#since;
  }
  get state(): PublicationState {
    return this.#state;
  }
  /** Sets may be published. */
  get isOpen(): boolean {
    return (this.#state === 'open' || this.#state === 'sealed') && this.#leadership.state === 'leading';
  }
  get published(): ReadonlyMap<string, PublishedDocument> {
    return this.#sets.published;
  }
  /** What was published last under any epoch: before an epoch is opened, what Redis was found to contain. */
  get remembered(): ReadonlyMap<string, PublishedDocument> {
    return new Map([...this.published, ...(this.#found ?? []).map((one) => [one.service, one] as const)]);
  }
  get unsettled(): ReadonlySet<string> {
    return this.#sets.unsettled;
  }
  /** Monotonic moment at which Redis last proved to have this term's publications. */
  get verifiedAt(): number {
    return this.#verifiedAt;
  }
  /** When trying again makes sense; Infinity while nothing has failed. */
  get retryAt(): number {
    return this.#backoff.retryAt;
  }

  /** Redis may not be what it was: read it again, under a new epoch. */
  doubt(reason: string): void {
    if (this.#leadership.state === 'standby') return;
    this.#doubts += 1;
    if (this.#state !== 'unread') {
      const epoch = this.#leadership.term?.epoch;
      this.#deps.log.warn({ reason, epoch }, 'Redis is in doubt; a new epoch is needed');
    }
    if (this.isOpen) this.#leadership.spend();
    this.#enter('unread');
  }

  /** The connection to Redis is a new one: a doubt, and a reason not to wait any longer for the next attempt. */
  reconnected(reason: string): void {
    this.doubt(reason);
    this.#backoff.succeeded();
  }

  /** A person says that what is in ZooKeeper is right, whatever Redis remembers; see `Leadership.acceptLoss`. */
  acceptLoss(): void {
    if (this.#leadership.state === 'standby') return;
    this.#doubts += 1;
    this.#leadership.acceptLoss();
    this.#backoff.succeeded();
    this.#enter('unread');
  }

  /** Works towards an open epoch; true once sets may be published. */
  async prepare(): Promise<boolean> {
    const { state, isElected } = this.#leadership;
    if (state === 'standby' || (state === 'candidate' && !isElected)) {
      this.#enter('unread');
      return false;
    }
    await this.look();
    if (this.isOpen) return true;
    if (!this.#backoff.over) return false;
    const doubts = this.#doubts;
    const known = this.#state === 'read' || (await this.#read());
    if (!known) {
      // Commands can be taken without Redis, under a term that goes no higher than it must.
      this.#isLed(await this.#leadership.ensure());
      return false;
    }
    if (doubts !== this.#doubts || !this.#isLed(await this.#leadership.settle(this.#redisEpoch)))
      return false;
    if (doubts !== this.#doubts) return false;
    return this.#open();
  }

  /** Publishes what differs from what is published, and seals once all is. `documents` is all that should be there. */
  async publishAll(documents: ReadonlyMap<string, EncodedDocument>): Promise<void> {
    const due = this.#dueOf(documents);
    // From here on until an answer comes, either may be published; also for those that wait for their turn.
    for (const { service } of due) this.#sets.unsettle(service);
    await publishSets(due, {
      ...{ publisher: this.#deps.publisher, clock: this.#deps.clock, sets: this.#sets },
      term: () => this.#leadership.term,
      isOpen: () => this.isOpen,
      succeeded: (asked) => {
        this.#succeeded(asked);
      },
      failed: (reason) => {
        this.#failed(reason);
      },
      doubt: (reason) => {
        this.doubt(reason);
      },
    });
    if (!this.isOpen || this.#dueOf(documents).length > 0) return;
    if (this.#state === 'open' && this.#backoff.over) await this.#seal();
    else if (this.#state === 'sealed') this.#backoff.succeeded();
  }

  /** Nothing is due while nothing may be published. */
  #dueOf(documents: ReadonlyMap<string, EncodedDocument>): readonly EncodedDocument[] {
    const { term } = this.#leadership;
    return term !== null && this.isOpen ? this.#sets.due(documents, term.epoch) : [];
  }

  /** True if the set of `service` in Redis is `hash`, under the present epoch, and that is sure. */
  isInForce(service: string, hash: string): boolean {
    return this.isOpen && this.#sets.isPublished(service, hash, this.#leadership.term?.epoch);
  }

  /**
   * Compares what is in Redis with what was published: what it lost, or somebody else wrote, is a doubt. False if one
   * was found.
   */
  async verify(): Promise<boolean> {
    const doubts = this.#doubts;
    const isStill = (): boolean => this.isOpen && doubts === this.#doubts;
    if (!isStill() || this.unsettled.size > 0) return true;
    const differing = await this.#deps.publisher.verify([...this.#sets.published.values()]);
    if (!differing.ok || !isStill()) return true;
    if (differing.value !== null) this.doubt(`the set of ${differing.value} is not what was published`);
    return differing.value === null;
  }

  /** They are to be pruned: from now on they may be absent. */
  withdraw(tombstones: readonly PublishedDocument[]): void {
    for (const { service, generation } of tombstones) this.#sets.withdraw(service, generation);
  }

  /** Asks Redis once a second for its epoch and generation. No answer changes nothing: the link's state shows that. */
  async look(): Promise<void> {
    const { clock, publisher } = this.#deps;
    const [term, seen, asked] = [this.#leadership.term, this.#sets.lastGeneration, clock.monotonic()];
    if (term === null || asked < this.#lookAt) return;
    this.#lookAt = asked + LOOK_MS;
    const meta = await publisher.meta();
    if (!meta.ok || this.#leadership.term !== term) return;
    const doubt = doubtOf(meta.value, term.epoch, seen);
    if (doubt === null) this.#verifiedAt = asked;
    if (!this.isOpen) return;
    if (doubt !== null) this.doubt(doubt);
    else if (this.#state === 'sealed' && meta.value?.sealed === false) this.#enter('open');
  }

  async #read(): Promise<boolean> {
    const { publisher, onFirstRead } = this.#deps;
    const doubts = this.#doubts;
    const meta = await publisher.meta();
    if (!meta.ok) return this.#failed(meta.error);
    const sets = await publisher.sets();
    if (!sets.ok) return this.#failed(sets.error);
    if (doubts !== this.#doubts) return false;
    const first = this.#found === null;
    this.#redisEpoch = meta.value?.epoch ?? 0;
    this.#found = sets.value;
    this.#enter('read');
    if (first) onFirstRead(sets.value);
    return true;
  }

  /** True if this controller leads; else what follows from that it does not. */
  #isLed(answer: Answer): boolean {
    switch (answer.kind) {
      case 'leading':
        return true;
      case 'fenced':
        return this.#failed('another controller leads');
      case 'forgotten':
        this.#enter('unread'); // look again: a person may have flushed it
        if (this.#backoff.failed()) this.#deps.log.error({}, this.#leadership.suspended ?? '');
        return false;
      case 'failed':
        return this.#failed(answer.reason);
    }
  }

  async #open(): Promise<boolean> {
    const [term, doubts, asked] = [this.#leadership.term, this.#doubts, this.#deps.clock.monotonic()];
    if (!term) return false;
    const answer = await this.#deps.publisher.open(term.epoch);
    if (answer.kind === 'unavailable') return this.#failed(answer.reason);
    if (doubts !== this.#doubts) {
      this.#leadership.spend();
      return false;
    }
    if (answer.kind === 'fenced') {
      this.doubt(`epoch ${String(answer.epoch)} is open in Redis`);
      this.#leadership.spend();
      return this.#failed(`Redis is at epoch ${String(answer.epoch)} already`);
    }
    const found = this.#found ?? [];
    this.#found = [];
    this.#sets.begin(found, answer.generation);
    this.#enter('open');
    this.#succeeded(asked);
    return true;
  }

  async #seal(): Promise<void> {
    const [term, doubts, asked] = [this.#leadership.term, this.#doubts, this.#deps.clock.monotonic()];
    if (!term) return;
    const answer = await this.#deps.publisher.seal(term.epoch);
    if (doubts !== this.#doubts) return;
    switch (answer.kind) {
      case 'sealed':
        this.#enter('sealed');
        this.#succeeded(asked);
        this.#deps.log.info({ epoch: term.epoch, sets: this.published.size }, 'sealed');
        return;
      case 'fenced':
        this.doubt(`epoch ${String(answer.epoch)} is open in Redis`);
        return;
      case 'lost':
        this.doubt('Redis has lost data');
        return;
      case 'unavailable':
        this.#failed(answer.reason);
    }
  }

  /** The one setter of the state. */
  #enter(state: PublicationState): void {
    if (state === this.#state) return;
    if (state === 'sealed' && this.#state !== 'open') throw new Error(`${this.#state} cannot be sealed`);
    if (state === 'open' && !this.#leadership.term) throw new Error('open without a term');
    this.#since = this.#deps.clock.wall();
    this.#state = state;
  }

  /** `asked`: when the question was sent to which Redis answered under this term. */
  #succeeded(asked: number): void {
    this.#verifiedAt = asked;
    if (this.#backoff.succeeded()) this.#deps.log.info({}, 'Redis takes writes again');
  }

  #failed(reason: string): false {
    if (this.#backoff.failed()) this.#deps.log.warn({ reason }, 'cannot publish; will try again');
    return false;
  }
}
