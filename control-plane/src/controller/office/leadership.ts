import type { Clock, Log, Office, Term, WriteFailure } from '../../model/ports.js';
import type { Result } from '../../model/result.js';

/** What came of asking ZooKeeper about the office. */
export type Standing =
  | { readonly kind: 'held' }
  /** Another controller is in office. */
  | { readonly kind: 'fenced' }
  /** ZooKeeper has forgotten what Redis remembers: a person must judge, see `suspended`. */
  | { readonly kind: 'forgotten' }
  | { readonly kind: 'failed'; readonly reason: string };

/** What it means that a write under a term was refused as fenced. */
export type Refusal =
  /** The term was an older one of our own: decide anew under the present one. */
  | 'moved'
  /** Another controller is in office. */
  | 'fenced'
  /** ZooKeeper did not tell whose term is present: ask again. */
  | 'unknown';

export interface LeadershipDeps {
  readonly office: Office;
  readonly clock: Clock;
  readonly log: Log;
  /** The highest epoch that any gateway follows and that is to be believed where `own` is the present one; 0 if none. */
  readonly highestEpoch: (own: number) => number;
  /** A person has accepted a data loss: writes under `term` what must stand in ZooKeeper before anything is published. */
  readonly settleLoss: (term: Term) => Promise<Result<null, string>>;
}

const HELD: Standing = { kind: 'held' };
const GIVEN_UP: Standing = { kind: 'failed', reason: 'office: it was given up meanwhile' };

/**
 * The term of office that this controller holds in ZooKeeper, and whether its epoch may be opened in Redis. ZooKeeper alone
 * says who is in office: an epoch is renewed only while the present term there is ours. That includes a term that was taken
 * without an answer: it is ours by its owner, and is adopted where it is found.
 */
export class Leadership {
  readonly #deps: LeadershipDeps;
  readonly #leastEpoch: number;
  #term: Term | null = null;
  /** The term, if it was taken after somebody else's or after nobody knows whose; null if the one before was ours too. */
  #takenOver: Term | null = null;
  /** The term's epoch has been in use, or Redis stands at or above it: a new one is needed before sets are published. */
  #spent = false;
  #suspended: string | null = null;
  /** A person has accepted what ZooKeeper holds, and that is not settled yet. */
  #accepting = false;
  /** Ends when the taking that is under way has ended. Never rejects. */
  #taking: Promise<Standing> = Promise.resolve(HELD);

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
    this.#leastEpoch = Math.floor(deps.clock.wall() / 1000);
  }

  get term(): Term | null {
    return this.#term;
  }
  /** The present term if another controller may have decided something before it that has not been seen here. */
  get takenOver(): Term | null {
    return this.#takenOver;
  }
  /** Why nothing may be published until a person has judged, or null. */
  get suspended(): string | null {
    return this.#suspended;
  }

  /** What had to be seen first has been seen: the term is as good as one that was held all the time. */
  caughtUp(): void {
    this.#takenOver = null;
  }

  /** The epoch was used: the next opening needs a new one. */
  spend(): void {
    this.#spent = true;
  }

  /** A person says that what ZooKeeper holds is right: the office is taken anew, and raised above Redis once that is settled. */
  acceptLoss(): void {
    this.#accepting = true;
    this.#term = this.#takenOver = null;
  }

  /**
   * What follows from that ZooKeeper refused a write under `term`. A term of our own that is being raised, or was raised
   * meanwhile, refuses as another controller's does; only the owner of the present one tells the two apart.
   */
  async refused(term: Term): Promise<Refusal> {
    await this.#taking;
    if (this.#term !== term) return 'moved';
    const { kind } = await this.#verify(term);
    if (this.#term !== term) return 'moved';
    return kind === 'fenced' ? 'fenced' : 'unknown';
  }

  /** Sees to it that some term is held, no higher than it must be. */
  async ensure(): Promise<Standing> {
    return this.#term === null ? this.#take(0) : HELD;
  }

  /** Holds the office under an epoch that may be opened over `redisEpoch`, where Redis stands. */
  async settle(redisEpoch: number): Promise<Standing> {
    const ensured = await this.ensure();
    const term = this.#term;
    if (term === null) return ensured;
    const judged = this.#accepting ? await this.#settleLoss(term) : await this.#compare(term, redisEpoch);
    const present = this.#term;
    if (judged.kind !== 'held' || present === null) return judged;
    const needed = Math.max(redisEpoch, this.#deps.highestEpoch(present.epoch)) + 1;
    if (!this.#spent && present.epoch >= Math.max(needed, this.#leastEpoch)) return HELD;
    return this.#take(Math.max(needed, Math.floor(this.#deps.clock.wall() / 1000)));
  }

  async #settleLoss(term: Term): Promise<Standing> {
    const settled = await this.#deps.settleLoss(term);
    if (!settled.ok) {
      const present = await this.#verify(term);
      return present.kind === 'fenced'
        ? present
        : { kind: 'failed', reason: `the data loss: ${settled.error}` };
    }
    this.#accepting = false;
    this.#suspended = null;
    this.#spent = true; // whatever Redis holds, the next epoch is above it
    return HELD;
  }

  /**
   * An epoch comes from ZooKeeper and is raised there before it is opened in Redis. So if Redis stands at or above the
   * one that a start was given, ZooKeeper has forgotten: what it holds now is not "no services".
   */
  async #compare(term: Term, redisEpoch: number): Promise<Standing> {
    const isStrange = (): boolean => !this.#spent && redisEpoch >= (this.#term?.epoch ?? 0);
    const still = isStrange() ? await this.#verify(term) : HELD;
    if (still.kind !== 'held') return still;
    const strange = isStrange();
    this.#suspended = strange
      ? `Redis holds sets of epoch ${String(redisEpoch)}, which ZooKeeper does not remember: its data is lost, ` +
        'older, or of another installation. Nothing is published. Restore ZooKeeper; or, if what it holds now is ' +
        'right, say so: ebbgate accept-data-loss'
      : null;
    return strange ? { kind: 'forgotten' } : HELD;
  }

  /**
   * Whether the office is ours by what ZooKeeper holds now. Adopts a later term that is ours; `held` says that the office is
   * held, by `term` or by what was adopted.
   */
  async #verify(term: Term): Promise<Standing> {
    const answer = await this.#deps.office.present();
    if (this.#term !== term) return this.#term === null ? GIVEN_UP : HELD;
    if (!answer.ok) return { kind: 'failed', reason: `office: ${reasonOf(answer.error)}` };
    const present = answer.value;
    if (present?.version === term.version && present.epoch === term.epoch) return HELD;
    const newer = present !== null && (present.version > term.version || present.epoch > term.epoch);
    // ZooKeeper was wiped or put back: whoever reads the registry and the intents notices, and holds everything.
    if (!newer) return { kind: 'failed', reason: 'office: ZooKeeper has an older epoch than was taken' };
    if (!present.ours) return { kind: 'fenced' };
    this.#enter(present, term);
    return HELD;
  }

  /** Takes the office anew: never one that another controller has taken since. */
  #take(floor: number): Promise<Standing> {
    this.#taking = this.#takeOnce(floor);
    return this.#taking;
  }

  async #takeOnce(floor: number): Promise<Standing> {
    const held = this.#term;
    const still = held ? await this.#verify(held) : HELD;
    if (still.kind !== 'held') return still;
    const known = this.#term;
    if (known !== held && known !== null && known.epoch >= floor) return HELD;
    const taken = await this.#deps.office.take(floor);
    if (!taken.ok) return { kind: 'failed', reason: `office: ${reasonOf(taken.error)}` };
    // What was given up while the answer was under way is not taken by it.
    if (this.#term === null && known !== null) return GIVEN_UP;
    if (this.#term?.version !== taken.value.version) this.#enter(taken.value, known);
    return HELD;
  }

  /** The one setter of a new term; `before` is the one that it follows. */
  #enter({ epoch, version }: Term, before: Term | null): void {
    const term = { epoch, version };
    // Every taking counts the epoch's znode version up by one.
    const continued = before !== null && version === before.version + 1;
    if (!continued || this.#takenOver === before) this.#takenOver = term;
    this.#term = term;
    this.#spent = false;
    this.#deps.log.info({ epoch }, 'took office');
  }
}

function reasonOf(failure: WriteFailure): string {
  return failure.kind === 'unavailable' ? failure.reason : failure.kind;
}
