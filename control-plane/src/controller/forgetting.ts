import type { Clock, HistoryStore, IntentEdit, IntentStore, Log, Term } from '../model/ports.js';
import { dueOf } from '../plan/clock.js';
import { forgettableAt } from '../plan/forget.js';
import type { World } from '../plan/world.js';
import { Backoff } from './backoff.js';
import type { Traffic } from './desired_state.js';
import type { Authority } from './office/authority.js';

export interface ForgettingDeps {
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Pick<Authority, 'refused'>;
  /** Services of which a release runs. */
  readonly traffic: () => Traffic;
  /** How long the record of a service that is gone stays after the last thing that happened to it. */
  readonly forgetMs: number;
}

/** How often the records are looked at. */
const LOOK_MS = 60_000;
/** How many go at a time. */
const MOST_AT_ONCE = 100;

/**
 * Removes the records of services that are gone and of which nothing is decided, with what people did to them: so ZooKeeper has no
 * more records than there are services, and decisions. What is removed is in the audit for as long as that keeps it.
 */
export class Forgetting {
  readonly #deps: ForgettingDeps;
  readonly #backoff: Backoff;
  #lookAt = -Infinity;

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
    for (const service of due) {
      if (!(await this.#forget(world, term, service))) return;
      log.info({ service }, 'record of a service that is gone removed');
    }
    this.#backoff.succeeded();
  }

  #due(world: World): readonly string[] {
    const running = this.#deps.traffic();
    const due: string[] = [];
    for (const [service, { record }] of world.intents) {
      if (due.length >= MOST_AT_ONCE) break;
      if (world.membership.has(service) || running.has(service) || world.damaged.has(service)) continue;
      if (dueOf(world) >= forgettableAt(record, this.#deps.forgetMs)) due.push(service);
    }
    return due;
  }

  /** False when going on makes no sense now. */
  async #forget(world: World, term: Term, service: string): Promise<boolean> {
    const { intents, histories, authority } = this.#deps;
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
    // Somebody decides something for it at this moment: it stays.
    if (written.ok || written.error.kind === 'conflict') return true;
    if (written.error.kind === 'fenced') await authority.refused(term);
    else this.#backoff.failed();
    return false;
  }
}
