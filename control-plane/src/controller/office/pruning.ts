import type { Clock, Log, Publisher } from '../../model/ports.js';
import type { PublishedDocument } from '../../model/set.js';
import { ackOf, gatewaysThatCount } from '../../plan/proof.js';
import type { World } from '../../plan/world.js';
import { Backoff } from '../backoff.js';
import type { Leadership } from './leadership.js';
import type { Publication } from './publication.js';

export interface PruningDeps {
  readonly publisher: Pick<Publisher, 'prune'>;
  readonly publication: Pick<Publication, 'state' | 'published' | 'withdraw' | 'doubt'>;
  readonly leadership: Pick<Leadership, 'term'>;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a tombstone stays at least: no duplicate of an older publish may arrive later. */
  readonly tombstoneMs: number;
}

/** How often the tombstones are looked at, at the least. */
const LOOK_MS = 5_000;
/** After this a gateway that has not followed is waited for no longer: when it comes back it compares everything. */
const MOST_MS = 86_400_000;
/** How many go at a time. */
const MOST_AT_ONCE = 1_000;

/** Takes the tombstones of services that are no more out of Redis, so that it has no more keys than there are services. */
export class Pruning {
  readonly #deps: PruningDeps;
  readonly #backoff: Backoff;
  /** Service → the generation of its tombstone, and when this controller saw it first. */
  readonly #since = new Map<string, { readonly generation: number; readonly at: number }>();
  /** Those whose removal has no answer: it may have been done. */
  #asked: readonly PublishedDocument[] = [];
  #epoch: number | null = null;
  #lookAt = -Infinity;

  constructor(deps: PruningDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.clock);
  }

  /** Prunes what may go now. What fails is tried again, and blocks nothing. */
  async run(world: World): Promise<void> {
    const { publication, publisher, leadership, clock, log, tombstoneMs } = this.#deps;
    const { term } = leadership;
    const now = clock.monotonic();
    if (term === null || publication.state !== 'sealed') return;
    if (now < this.#lookAt || !this.#backoff.over) return;
    this.#lookAt = now + Math.min(LOOK_MS, tombstoneMs / 2);
    // Under a new epoch everything was read again.
    if (this.#epoch !== term.epoch) this.#asked = [];
    this.#epoch = term.epoch;
    const due = this.#asked.length > 0 ? this.#asked : this.#due(world, now);
    if (due.length === 0) return;
    // From here on nothing relies on their being there; a service of that name may be published meanwhile.
    this.#asked = due;
    publication.withdraw(due);
    const answer = await publisher.prune(term.epoch, due);
    switch (answer.kind) {
      case 'pruned':
        this.#asked = [];
        this.#backoff.succeeded();
        log.debug({ services: due.length }, 'tombstones pruned');
        return;
      case 'unsealed':
        return;
      case 'lost':
        publication.doubt('Redis has lost data');
        return;
      case 'fenced':
        publication.doubt(`epoch ${String(answer.epoch)} is open in Redis`);
        return;
      case 'unavailable':
        this.#backoff.failed();
    }
  }

  /** The tombstones that were out for long enough, and that every gateway has followed. */
  #due(world: World, now: number): readonly PublishedDocument[] {
    const { publication, tombstoneMs } = this.#deps;
    const due: PublishedDocument[] = [];
    const present = new Set<string>();
    for (const [service, published] of publication.published) {
      if (!('removed' in published.document)) continue;
      present.add(service);
      const known = this.#since.get(service);
      if (known?.generation !== published.generation) {
        this.#since.set(service, { generation: published.generation, at: now });
        continue;
      }
      const age = now - known.at;
      if (age < tombstoneMs || world.unsettled.has(service) || due.length >= MOST_AT_ONCE) continue;
      if (age < MOST_MS && !isFollowed(world, service, published)) continue;
      due.push(published);
    }
    for (const service of this.#since.keys()) if (!present.has(service)) this.#since.delete(service);
    return due;
  }
}

function isFollowed({ witnesses }: World, service: string, position: PublishedDocument): boolean {
  return gatewaysThatCount(witnesses).every(
    (id) => ackOf(id, service, position, witnesses).state === 'acked',
  );
}
