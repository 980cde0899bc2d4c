import type { Election } from '../../model/election.js';
import type { Clock, Log, Office, Term, WriteFailure } from '../../model/ports.js';
import type { Result } from '../../model/result.js';

/*
 * Whether this controller leads. ZooKeeper alone decides: who took the present term there leads, and an epoch is raised only
 * while the present term is ours.
 *
 *   candidate   has no term and takes one as soon as it is elected. A start begins here. A person who accepts a data loss
 *               leads back here from `leading`: the term is given up, so that the next one is taken over what is in ZooKeeper
 *   leading     has a term. Another term of our own may follow it
 *   standby     another controller is elected, or leads. This one writes nothing and takes nothing; `term` is its last one, if it
 *               had one. Once it is elected it is a candidate, and so takes a term above the other's
 *
 * A write that was refused is not enough to be a standby: the refusal may be of an older term of our own (see `refused`).
 */
export type LeadershipState = 'candidate' | 'leading' | 'standby';

/** What came of asking ZooKeeper who leads. */
export type Answer =
  | { readonly kind: 'leading' }
  /** Another controller leads. */
  | { readonly kind: 'fenced' }
  /** ZooKeeper has forgotten what Redis remembers: a person must decide, see `suspended`. */
  | { readonly kind: 'forgotten' }
  | { readonly kind: 'failed'; readonly reason: string };

/** What it means that a write under a term was refused as fenced. */
export type Refusal =
  /** The term was an older one of our own: decide again under the present one. */
  | 'moved'
  /** Another controller leads. */
  | 'fenced'
  /** ZooKeeper did not say whose term is present: ask again. */
  | 'unknown';

export interface LeadershipDeps {
  readonly election: Pick<Election, 'state' | 'resign'>;
  readonly office: Office;
  readonly clock: Clock;
  readonly log: Log;
  /** The highest epoch that any gateway follows and that is to be believed where `own` is the present one; 0 if none. */
  readonly highestEpoch: (own: number) => number;
  /** The highest epoch of a copy of the truth; 0 if there is none. Asked while another controller may have led before. */
  readonly copiedEpoch: () => Promise<number>;
  /** A person has accepted a data loss: writes under `term` what must be in ZooKeeper before anything is published. */
  readonly settleLoss: (term: Term) => Promise<Result<null, string>>;
}

const LEADING: Answer = { kind: 'leading' };
const NOT_ELECTED: Answer = { kind: 'failed', reason: 'leadership: this controller is not elected' };
const GIVEN_UP: Answer = { kind: 'failed', reason: 'leadership: it was given up meanwhile' };

/** The term under which this controller leads, and whether its epoch may be opened in Redis. */
export class Leadership {
  readonly #deps: LeadershipDeps;
  readonly #leastEpoch: number;
  #state: LeadershipState = 'candidate';
  #since: number;
  #term: Term | null = null;
  /** The term, if it was taken after somebody else's or after nobody knows whose; null if the one before was ours too. */
  #takenOver: Term | null = null;
  /** The term's epoch has been in use, or Redis is at or above it: a new one is needed before sets are published. */
  #spent = false;
  #suspended: string | null = null;
  /** A person has accepted what is in ZooKeeper, and that is not settled yet. */
  #accepting = false;
  /** Ends when the taking that is under way has ended. Never rejects. */
  #taking: Promise<Answer> = Promise.resolve(LEADING);

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
    this.#since = deps.clock.wall();
    this.#leastEpoch = Math.floor(this.#since / 1000);
  }

  get state(): LeadershipState {
    return this.#state;
  }
  /** Wall-clock milliseconds since which the state is what it is. */
  get since(): number {
    return this.#since;
  }
  /** The newest term of our own; null for a candidate. */
  get term(): Term | null {
    return this.#term;
  }
  /** The present term if another controller may have decided something before it that has not been seen here. */
  get takenOver(): Term | null {
    return this.#takenOver;
  }
  /** Why publication is suspended until a person has decided, or null. */
  get suspended(): string | null {
    return this.#suspended;
  }

  /** True while there is an answer that nobody else is elected: without it nothing is written. */
  get isElected(): boolean {
    return this.#deps.election.state() === 'elected';
  }
  /** Leads, and nobody else is elected. */
  get mayWrite(): boolean {
    return this.#state === 'leading' && this.isElected;
  }

  /** Follows the election, before anything else is done in a pass. */
  look(): void {
    const elected = this.#deps.election.state();
    if (elected === 'elected' && this.#state === 'standby') this.#enter('candidate', null);
    if (elected === 'waiting' && this.#state !== 'standby') this.#becomeStandby();
  }

  /** What had to be seen first has been seen: the term is as good as one that follows another of our own. */
  caughtUp(): void {
    this.#takenOver = null;
  }

  /** The epoch was used: the next opening needs a new one. */
  spend(): void {
    this.#spent = true;
  }

  /** A person says that what is in ZooKeeper is right: leadership is taken again, and raised above Redis once that is settled. */
  acceptLoss(): void {
    if (this.#state === 'standby') return;
    this.#accepting = true;
    this.#enter('candidate', null);
  }

  /**
   * What follows from that ZooKeeper refused a write under `term`. A term of our own that is being raised, or was raised
   * meanwhile, refuses as another controller's does; only the owner of the present one distinguishes the two.
   */
  async refused(term: Term): Promise<Refusal> {
    await this.#taking;
    if (this.#term !== term) return 'moved';
    const { kind } = await this.#verify(term);
    if (this.#term !== term) return 'moved';
    return kind === 'fenced' ? 'fenced' : 'unknown';
  }

  /** Sees to it that there is some term, no higher than it must be. */
  async ensure(): Promise<Answer> {
    if (this.#state === 'standby') return { kind: 'fenced' };
    return this.#term === null ? this.#take(0) : LEADING;
  }

  /** Leads under an epoch that may be opened over `redisEpoch`, where Redis is. */
  async settle(redisEpoch: number): Promise<Answer> {
    const ensured = await this.ensure();
    // Nobody else has written a copy since a term that ours follows: a place that is slow to answer delays no recovery.
    const copied = this.#takenOver === null ? 0 : await this.#deps.copiedEpoch();
    const term = this.#term;
    if (ensured.kind !== 'leading' || term === null) return ensured;
    const known = { redis: redisEpoch, copy: copied };
    const checked = this.#accepting ? await this.#settleLoss(term) : await this.#compare(term, known);
    const present = this.#term;
    if (checked.kind !== 'leading' || present === null) return checked;
    const needed = Math.max(redisEpoch, copied, this.#deps.highestEpoch(present.epoch)) + 1;
    if (!this.#spent && present.epoch >= Math.max(needed, this.#leastEpoch)) return LEADING;
    return this.#take(Math.max(needed, Math.floor(this.#deps.clock.wall() / 1000)));
  }

  async #settleLoss(term: Term): Promise<Answer> {
    const settled = await this.#deps.settleLoss(term);
    if (!settled.ok) {
      const present = await this.#verify(term);
      return present.kind === 'fenced'
        ? present
        : { kind: 'failed', reason: `the data loss: ${settled.error}` };
    }
    this.#accepting = false;
    this.#suspended = null;
    this.#spent = true; // whatever is in Redis, the next epoch is above it
    return LEADING;
  }

  /**
   * An epoch comes from ZooKeeper and is raised there before it is opened in Redis. So if Redis is at or above the
   * one that a start was given, ZooKeeper has forgotten: what is in it now is not "no services".
   */
  async #compare(term: Term, { redis, copy }: { redis: number; copy: number }): Promise<Answer> {
    const newest = Math.max(redis, copy);
    const isStrange = (): boolean => !this.#spent && newest >= (this.#term?.epoch ?? 0);
    const still = isStrange() ? await this.#verify(term) : LEADING;
    if (still.kind !== 'leading') return still;
    const strange = isStrange();
    this.#suspended = strange
      ? `${redis >= copy ? 'Redis has sets' : 'A copy of what was decided is'} of epoch ${String(newest)}, which ZooKeeper does not remember: its data is lost, ` +
        'older, or of another installation. Nothing is published. Restore ZooKeeper; or, if what is in it now is ' +
        'right, say so: ebbgate accept-data-loss; or bring the copy back: ebbgate restore --from redis|file'
      : null;
    return strange ? { kind: 'forgotten' } : LEADING;
  }

  /**
   * Who leads by what is in ZooKeeper now. Adopts a later term that is ours: one that was taken without an answer. `leading`
   * means by `term` or by what was adopted; `fenced` makes this controller a standby.
   */
  async #verify(term: Term): Promise<Answer> {
    if (this.#state === 'standby') return { kind: 'fenced' };
    const answer = await this.#deps.office.present();
    if (this.#term !== term) return this.#term === null ? GIVEN_UP : LEADING;
    if (!answer.ok) return { kind: 'failed', reason: `leadership: ${reasonOf(answer.error)}` };
    const present = answer.value;
    if (present?.version === term.version && present.epoch === term.epoch) return LEADING;
    const newer = present !== null && (present.version > term.version || present.epoch > term.epoch);
    // ZooKeeper was wiped or put back: whoever reads the registry and the intents notices, and suspends everything.
    if (!newer) return { kind: 'failed', reason: 'leadership: ZooKeeper has an older epoch than was taken' };
    if (present.ours) this.#lead(present, term);
    else this.#fence(term);
    return present.ours ? LEADING : { kind: 'fenced' };
  }

  /** Takes leadership again: never from another controller that has taken it since. */
  #take(floor: number): Promise<Answer> {
    this.#taking = this.#takeOnce(floor);
    return this.#taking;
  }

  async #takeOnce(floor: number): Promise<Answer> {
    const before = this.#term;
    const still = before ? await this.#verify(before) : LEADING;
    if (still.kind !== 'leading') return still;
    if (!this.isElected) return NOT_ELECTED;
    const known = this.#term;
    if (known !== before && known !== null && known.epoch >= floor) return LEADING;
    const taken = await this.#deps.office.take(floor);
    if (!taken.ok) return { kind: 'failed', reason: `leadership: ${reasonOf(taken.error)}` };
    // What was given up while the answer was under way is not taken by it.
    if (this.#term === null && known !== null) return GIVEN_UP;
    if (this.#term?.version !== taken.value.version) this.#lead(taken.value, known);
    return LEADING;
  }

  /** Leads under a new term; `before` is the one that it follows. */
  #lead({ epoch, version }: Term, before: Term | null): void {
    const term = { epoch, version };
    // Every taking counts the epoch's znode version up by one.
    const continued = before !== null && version === before.version + 1;
    const takenOver = !continued || this.#takenOver === before ? term : this.#takenOver;
    this.#enter('leading', term);
    this.#takenOver = takenOver;
    this.#deps.log.info({ epoch }, 'took leadership');
  }

  /** Another controller has taken leadership, whatever the election says: let it lead, and join the election anew. */
  #fence(term: Term): void {
    this.#enter('standby', term);
    this.#deps.log.error({ epoch: term.epoch }, 'another controller leads; a standby now, and not writing');
    this.#deps.election.resign();
  }

  #becomeStandby(): void {
    const { epoch = null } = this.#term ?? {};
    this.#accepting = false;
    this.#suspended = null;
    this.#enter('standby', this.#term);
    this.#deps.log.info({ epoch }, 'another controller is elected; a standby now');
  }

  /** The one setter of the state and the term. A new term is not spent, and follows what it follows. */
  #enter(state: LeadershipState, term: Term | null): void {
    const fits = { candidate: term === null, leading: term !== null, standby: true }[state];
    if (!fits) throw new Error(`${state} with a wrong term`);
    if (state !== this.#state) this.#since = this.#deps.clock.wall();
    if (term !== this.#term) this.#spent = false;
    if (term === null) this.#takenOver = null;
    this.#state = state;
    this.#term = term;
  }
}

function reasonOf(failure: WriteFailure): string {
  return failure.kind === 'unavailable' ? failure.reason : failure.kind;
}
