import type { Clock, Publisher } from '../../model/ports.js';
import type { PublishedDocument } from '../../model/set.js';

/** How often Redis is asked for what the leader has published since; at once where a gateway reports more than is known. */
const LOOK_MS = 1_000;
/** How often everything is read again where there are tombstones: that they are pruned shows only in the whole. */
const WHOLE_MS = 600_000;

export interface FollowingDeps {
  readonly publisher: Publisher;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** What was in Redis when it was first read. */
  readonly onFirstRead: (published: readonly PublishedDocument[]) => void;
}

/** What was read of the leader's publication. */
export interface Followed {
  readonly epoch: number;
  /** Up to here everything has been read. */
  readonly generation: number;
  /** By service, and `@routes`. */
  readonly published: ReadonlyMap<string, PublishedDocument>;
}

/**
 * What the leader has published, as a standby reads it in Redis: all of it once, then what is above the generation that was read,
 * and all of it again after a new epoch. It writes nothing. What it shows is of one moment or before it, never of two leaders.
 */
export class Following {
  readonly #deps: FollowingDeps;
  #followed: Followed | null = null;
  #readAt = -Infinity;
  #lookAt = -Infinity;
  #wholeAt = -Infinity;
  #isFirst = true;

  constructor(deps: FollowingDeps) {
    this.#deps = deps;
  }

  /** Null until it was read completely, and while Redis has no publication. */
  get followed(): Followed | null {
    return this.#followed;
  }
  /** Monotonic moment at which Redis was asked for the newest that is known; -Infinity before the first answer. */
  get readAt(): number {
    return this.#readAt;
  }

  /** The next look is due at once. */
  hurry(): void {
    this.#lookAt = -Infinity;
  }

  /** Forgets what was read: the next look reads everything. */
  reset(): void {
    this.#followed = null;
    this.#readAt = -Infinity;
    this.hurry();
  }

  /** Reads what is new, if it is time. `heard` is the newest position that a gateway reports. No answer changes nothing. */
  async look(heard: { readonly epoch: number; readonly generation: number } | null): Promise<void> {
    const { publisher, clock } = this.#deps;
    const asked = clock.monotonic();
    if (asked < this.#lookAt && !isNewer(heard, this.#followed)) return;
    this.#lookAt = asked + LOOK_MS;
    const meta = await publisher.meta();
    if (!meta.ok) return;
    if (meta.value === null) {
      this.#followed = null;
      return;
    }
    const { epoch, generation } = meta.value;
    const known = this.#followed;
    const isOver = asked >= this.#wholeAt && hasTombstone(known);
    const goesOn = known !== null && known.epoch === epoch && generation >= known.generation && !isOver;
    if (!goesOn) this.#wholeAt = asked + WHOLE_MS;
    if (!goesOn || generation > known.generation) {
      const sets = await publisher.sets(goesOn ? known.generation : 0);
      if (!sets.ok) return;
      const read = sets.value.map((one) => [one.service, one] as const);
      const published = new Map(goesOn ? [...known.published, ...read] : read);
      this.#followed = { epoch, generation, published };
    }
    this.#readAt = asked;
    if (!this.#isFirst) return;
    this.#isFirst = false;
    this.#deps.onFirstRead([...(this.#followed?.published.values() ?? [])]);
  }
}

/** True if a gateway follows something that was not read. One of another epoch may be of the past. */
function isNewer(
  heard: { readonly epoch: number; readonly generation: number } | null,
  known: Followed | null,
): boolean {
  if (heard === null || known === null) return false;
  return heard.epoch > known.epoch || (heard.epoch === known.epoch && heard.generation > known.generation);
}

function hasTombstone(known: Followed | null): boolean {
  return [...(known?.published.values() ?? [])].some(({ document }) => 'removed' in document);
}
