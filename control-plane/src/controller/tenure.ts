import type { Clock, Log, Office, Term, WriteFailure } from '../model/ports.js';
import type { Result } from '../model/result.js';

/** What came of asking ZooKeeper about the office. */
export type Standing =
  | { readonly kind: 'held' }
  /** Another controller is in office. */
  | { readonly kind: 'fenced' }
  /** ZooKeeper has forgotten what Redis remembers: a person must judge, see `hold`. */
  | { readonly kind: 'forgotten' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface TenureDeps {
  readonly office: Office;
  /** Asks ZooKeeper whether `term` is still the present one; `fenced` if not. */
  readonly holds: (term: Term) => Promise<Result<unknown, WriteFailure>>;
  readonly clock: Clock;
  readonly log: Log;
  /** The highest epoch any gateway reports; 0 if none. */
  readonly highestHeard: () => number;
  /** A person has accepted a data loss: writes under `term` what must stand in ZooKeeper before anything is published. */
  readonly settleLoss: (term: Term) => Promise<Result<null, string>>;
}

const HELD: Standing = { kind: 'held' };

/**
 * The term of office that this controller holds in ZooKeeper, and whether its epoch may be opened in Redis. ZooKeeper alone
 * says who is in office: an epoch is renewed only while the term that is held still stands there.
 */
export class Tenure {
  readonly #deps: TenureDeps;
  readonly #leastEpoch: number;
  #term: Term | null = null;
  /** The term, if it was taken after somebody else's or after nobody knows whose; null if the one before was ours too. */
  #takenOver: Term | null = null;
  /** The term's epoch has been in use, or Redis stands at or above it: a new one is needed before sets are published. */
  #spent = false;
  #hold: string | null = null;
  /** A person has accepted what ZooKeeper holds, and that is not settled yet. */
  #accepting = false;

  constructor(deps: TenureDeps) {
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
  get hold(): string | null {
    return this.#hold;
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
    if (judged.kind !== 'held') return judged;
    const needed = Math.max(redisEpoch, this.#deps.highestHeard()) + 1;
    if (!this.#spent && term.epoch >= Math.max(needed, this.#leastEpoch)) return HELD;
    return this.#take(Math.max(needed, Math.floor(this.#deps.clock.wall() / 1000)));
  }

  async #settleLoss(term: Term): Promise<Standing> {
    const settled = await this.#deps.settleLoss(term);
    if (!settled.ok) return { kind: 'failed', reason: `the data loss: ${settled.error}` };
    this.#accepting = false;
    this.#hold = null;
    this.#spent = true; // whatever Redis holds, the next epoch is above it
    return HELD;
  }

  /**
   * An epoch comes from ZooKeeper and is raised there before it is opened in Redis. So if Redis stands at or above the
   * one that a start was given, ZooKeeper has forgotten: what it holds now is not "no services".
   */
  async #compare(term: Term, redisEpoch: number): Promise<Standing> {
    const strange = !this.#spent && redisEpoch >= term.epoch;
    const still = strange ? await this.#isHeld(term) : HELD;
    if (still.kind !== 'held') return still;
    this.#hold = strange
      ? `Redis holds sets of epoch ${String(redisEpoch)}, which ZooKeeper does not remember: its data is lost, ` +
        'older, or of another installation. Nothing is published. Restore ZooKeeper; or, if what it holds now is ' +
        'right, say so: ebbgate accept-data-loss'
      : null;
    return strange ? { kind: 'forgotten' } : HELD;
  }

  /** Whether ZooKeeper still has our term; if another has taken office, this was the last question. */
  async #isHeld(term: Term): Promise<Standing> {
    const still = await this.#deps.holds(term);
    if (still.ok) return HELD;
    const { kind } = still.error;
    return kind === 'fenced' ? { kind } : { kind: 'failed', reason: `office: ${kind}` };
  }

  /** Takes the office anew: never one that another controller has taken since. */
  async #take(floor: number): Promise<Standing> {
    const { log, office } = this.#deps;
    const held = this.#term;
    const still = held ? await this.#isHeld(held) : HELD;
    if (still.kind !== 'held') return still;
    const taken = await office.take(floor);
    if (!taken.ok) return { kind: 'failed', reason: `office: ${taken.error.kind}` };
    // Every taking counts the epoch's znode version up by one.
    const continued = held !== null && taken.value.version === held.version + 1;
    if (!continued || this.#takenOver === held) this.#takenOver = taken.value;
    this.#term = taken.value;
    this.#spent = false;
    log.info({ epoch: taken.value.epoch }, 'took office');
    return HELD;
  }
}
