import type { Clock } from '../../model/ports.js';
import { Backoff } from '../backoff.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Following } from './following.js';
import type { Leadership } from './leadership.js';
import type { Publication } from './publication.js';

export interface EpochWatchDeps {
  readonly inputs: Inputs;
  readonly leadership: Pick<Leadership, 'state' | 'term'>;
  readonly publication: Publication;
  readonly following: Pick<Following, 'followed'>;
  readonly clock: Clock;
  readonly settings: { readonly gatewaySilentMs: number };
}

/** The waits between two new epochs that a gateway's claim to follow a higher one causes. */
const OUTBID_MS = { first: 5_000, most: 600_000 };
/** A proof needs Redis to have confirmed within this that what was published is still there. */
const VERIFIED_MS = 5_000;

/** Watches what gateways make of the epoch: the time in which all of them can be heard, and claims to follow a higher one. */
export class EpochWatch {
  readonly #deps: EpochWatchDeps;
  readonly #outbid: Backoff;
  /** The epoch whose first publications are heard of, and until when. */
  #learning: { readonly epoch: number | null; readonly until: number };

  constructor(deps: EpochWatchDeps) {
    this.#deps = deps;
    this.#outbid = new Backoff(deps.clock, OUTBID_MS.first, OUTBID_MS.most);
    this.#learning = { epoch: null, until: this.#learnUntil() };
  }

  /** Milliseconds within which Redis must have confirmed what was published. */
  get verifiedWithin(): number {
    return Math.max(this.#deps.settings.gatewaySilentMs, VERIFIED_MS);
  }

  /** True after a start and after each new epoch, until everybody could be heard: nothing is decided by the clock before. */
  isLearning(now: number): boolean {
    return now < this.#learning.until;
  }

  /** Looks once. A gateway that follows a higher epoch leads to a new one. */
  look(): void {
    const { leadership, publication, following, inputs, clock } = this.#deps;
    const isStandby = leadership.state === 'standby';
    const epoch = (isStandby ? following.followed?.epoch : leadership.term?.epoch) ?? null;
    if (epoch !== this.#learning.epoch) this.#learning = { epoch, until: this.#learnUntil() };
    if (epoch === null || publication.state !== 'sealed') return;
    const isHigher = inputs.highestEpoch(epoch) > epoch;
    const quietSince = clock.monotonic() - OUTBID_MS.most;
    if (!isHigher && this.#outbid.retryAt < quietSince) this.#outbid.succeeded();
    if (!isHigher || !this.#outbid.over) return;
    // An honest gateway follows the next epoch. One that claims a still higher one every time must not cause a storm of them.
    this.#outbid.failed();
    publication.doubt('a gateway follows a higher epoch');
  }

  #learnUntil(): number {
    return this.#deps.clock.monotonic() + this.verifiedWithin;
  }
}
