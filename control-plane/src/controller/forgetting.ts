import type {
  Clock,
  HistoryStore,
  IntentEdit,
  IntentStore,
  Log,
  Term,
  WriteFailure,
} from '../model/ports.js';
import type { ServiceReleases } from '../model/release.js';
import type { ReleaseStore } from '../model/release_ports.js';
import { dueOf } from '../plan/clock.js';
import { forgettableAt, releasesForgettableAt } from '../plan/forget.js';
import type { World } from '../plan/world.js';
import { Backoff } from './backoff.js';
import type { Authority } from './office/authority.js';

export interface ForgettingDeps {
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly releases: ReleaseStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Pick<Authority, 'refused'>;
  /** The releases that run or ended, by service; null before they were read. */
  readonly known: () => ReadonlyMap<string, ServiceReleases> | null;
  /** How long the record of a service that is gone stays after the last thing that happened to it. */
  readonly forgetMs: number;
}

/** How often the records are looked at. */
const LOOK_MS = 60_000;
/** How many go at a time. */
const MOST_AT_ONCE = 100;

/**
 * Removes the records of services that are gone and of which nothing is decided, with what people did to them, then their releases: so
 * ZooKeeper has no more records than there are services, and decisions. What is removed is in the audit for as long as that keeps it.
 */
export class Forgetting {
  readonly #deps: ForgettingDeps;
  readonly #backoff: Backoff;
  #lookAt = -Infinity;
  /** Those that were refused are tried after all others. */
  readonly #refused = new Set<string>();

  constructor(deps: ForgettingDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.clock);
  }

  /** What fails is tried again, and blocks nothing. */
  async run(world: World, term: Term | null): Promise<void> {
    const { clock, forgetMs, log } = this.#deps;
    const now = clock.monotonic();
    if (term === null || now < this.#lookAt || !this.#backoff.over) return;
    const due = this.#due(world);
    // While there are more the next pass goes on.
    if (due.length < MOST_AT_ONCE) this.#lookAt = now + Math.min(LOOK_MS, forgetMs / 2);
    const last = new Set(this.#refused);
    this.#refused.clear();
    for (const { service, what } of [...due].sort(
      (a, b) => Number(last.has(a.service)) - Number(last.has(b.service)),
    )) {
      const goesOn = await (what === 'record'
        ? this.#forget(world, term, service)
        : this.#forgetReleases(term, service));
      if (!goesOn) {
        this.#refused.add(service);
        return;
      }
      log.info({ service }, `${what} of a service that is gone removed`);
    }
    this.#backoff.succeeded();
  }

  #due(world: World): readonly { readonly service: string; readonly what: 'record' | 'releases' }[] {
    const { known, forgetMs } = this.#deps;
    const releases = known();
    if (releases === null) return [];
    const now = dueOf(world);
    const isGone = (service: string): boolean =>
      !world.membership.has(service) && !world.damaged.has(service) && !releases.get(service)?.current;
    const records = [...world.intents]
      .filter(([service, { record }]) => isGone(service) && now >= forgettableAt(record, forgetMs))
      .map(([service]) => ({ service, what: 'record' as const }));
    // What is decided keeps the releases that led to it.
    const ended = [...releases]
      .filter(
        ([service, of]) =>
          isGone(service) && !world.intents.has(service) && now >= releasesForgettableAt(of, forgetMs),
      )
      .map(([service]) => ({ service, what: 'releases' as const }));
    return [...records, ...ended].slice(0, MOST_AT_ONCE);
  }

  /** False when going on makes no sense now. */
  async #forgetReleases(term: Term, service: string): Promise<boolean> {
    const nothing = { etag: null, current: null, archive: null } as const;
    const written = await this.#deps.releases.write(term, [{ service, ...nothing, forget: true }]);
    return this.#goesOn(term, written.ok ? null : written.error);
  }

  /** False when going on makes no sense now. */
  async #forget(world: World, term: Term, service: string): Promise<boolean> {
    const { intents, histories } = this.#deps;
    const history = await histories.read(service);
    if (!history.ok) {
      this.#backoff.failed();
      return false;
    }
    const etag = world.intents.get(service)?.etag ?? null;
    const edit: IntentEdit = { service, etag, record: null };
    const written = await intents.write(term, [
      history.value === null ? edit : { ...edit, history: { etag: history.value.etag, events: null } },
    ]);
    return this.#goesOn(term, written.ok ? null : written.error);
  }

  /** Somebody decides something for it at this moment: it stays, and others go on. */
  async #goesOn(term: Term, failure: WriteFailure | null): Promise<boolean> {
    if (failure === null || failure.kind === 'conflict') return true;
    if (failure.kind === 'fenced') await this.#deps.authority.refused(term);
    else this.#backoff.failed();
    return false;
  }
}
