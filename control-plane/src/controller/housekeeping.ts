import { OLDEST_CONTRACT } from '../model/contract.js';
import type { AuditStore } from '../model/audit_ports.js';
import { dueOf } from '../plan/clock.js';
import type { IntentRecord, StoredIntent } from '../model/intent.js';
import type {
  Clock,
  ConsumerRegistration,
  HistoryStore,
  IntentEdit,
  IntentStore,
  Log,
  RosterStore,
  Term,
  WriteFailure,
} from '../model/ports.js';
import { eligible } from '../model/set.js';
import { differing, PerService, remembered } from '../plan/incremental.js';
import { surplusGone, type Membership } from '../plan/membership.js';
import { advanceOperations, endAcceptance, expireIntents } from '../plan/operations.js';
import { isSilent, proveDrained } from '../plan/proof.js';
import { restsUntil, rollHistory } from '../plan/record.js';
import { drainTarget, membersIn, publishedAt, type World } from '../plan/world.js';
import { Backoff } from './backoff.js';
import type { DesiredState } from './desired_state.js';
import type { Authority } from './office/authority.js';
import type { Publication } from './office/publication.js';

/** What housekeeping works with. */
export interface HousekeepingDeps {
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly roster: RosterStore;
  readonly audit: Pick<AuditStore, 'tend'>;
  readonly consumers: ConsumerRegistration;
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Pick<Authority, 'refused'>;
  readonly publication: Pick<Publication, 'doubt'>;
  readonly desired: Pick<DesiredState, 'drop'>;
  /** Another pass, soon. */
  readonly wake: () => void;
}

/** Between two looks at what of the audit is too much. */
const TEND_MS = 5_000;
/** How many gateways that have gone are remembered. */
const MOST_DEPARTED = 50;
/** How many gone members a set lists while nobody can prove them empty. */
const MOST_GONE = 100;
/** A pass gives up writing after this many refusals; the next one goes on with others. */
const MOST_REFUSALS = 3;
/** The waits between two healings of damage that comes back. */
const HEALING_MS = { first: 10_000, most: 600_000 };
/** Refusals that mean damage in Redis, not a fault of the set. */
const DAMAGE = new Set(['hash_mismatch', 'bad_json']);

/** What a pass does besides publishing. Everything here may fail; what failed is tried again later, and blocks nothing else. */
export class Housekeeping {
  readonly #deps: HousekeepingDeps;
  readonly #healing: Backoff;
  /** Service or gateway → how writing its record goes. */
  readonly #writing = new Map<string, Backoff>();
  #followed: { readonly membership: Membership; readonly services: readonly string[] } = {
    membership: new Map(),
    services: [],
  };
  #tendedAt = -Infinity;
  readonly #restsUntil = new PerService(restsUntil);
  /** When the first of all records has something to be written down. */
  readonly #allRestUntil = remembered((intents: World['intents']) => {
    this.#restsUntil.keep(intents);
    let earliest = Infinity;
    for (const [service, { record }] of intents)
      earliest = Math.min(earliest, this.#restsUntil.of(service, record));
    return earliest;
  });
  readonly #withGone = remembered((compiled: World['compiled']) =>
    [...compiled].flatMap(([service, { gone }]) => (gone.length > 0 ? [{ service, gone }] : [])),
  );

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
    this.#healing = new Backoff(deps.clock, HEALING_MS.first, HEALING_MS.most);
  }

  /** Consumers, members that are gone for good, damage; and under a term: roster, ended operations, expired intents. */
  async run(world: World, term: Term | null, rosterIsKnown: boolean): Promise<void> {
    this.#deps.consumers.follow(this.#follow(world.membership));
    this.#healDamage(world);
    this.#dropEmpty(world);
    if (!term) return;
    if (rosterIsKnown) {
      await this.#enroll(world, term);
      await this.#dismiss(world, term);
    }
    await this.#recordEnds(world, term);
    await this.#tendAudit(term);
  }

  /** Seldom enough to cost nothing, and often enough that no ring grows far past its bound. */
  async #tendAudit(term: Term): Promise<void> {
    const now = this.#deps.clock.monotonic();
    if (now - this.#tendedAt < TEND_MS) return;
    this.#tendedAt = now;
    await this.#deps.audit.tend(term);
  }

  /** The names of all services: the same list while there is none more and none less. */
  #follow(membership: Membership): readonly string[] {
    const before = this.#followed;
    const isOther = differing(before.membership, membership).some(
      (service) => before.membership.has(service) !== membership.has(service),
    );
    const services = isOther ? [...membership.keys()] : before.services;
    this.#followed = { membership, services };
    return services;
  }

  /** A gateway that is heard and not in the roster joins it; one that started again is noted. A name that only Redis lists does not. */
  async #enroll(world: World, term: Term): Promise<void> {
    const { roster, fleet } = world.witnesses;
    let refusals = 0;
    for (const [id, heard] of fleet.heard) {
      const { boot, host, contracts } = heard.heartbeat;
      const known = roster.get(id);
      const isKnown = known?.boot === boot && sameContracts(known.contracts, contracts);
      if (isSilent(heard, world.witnesses) || isKnown) continue;
      if (world.witnesses.shared.has(id) && roster.has(id)) continue;
      if (!this.#mayWrite(`gateway ${id}`)) continue;
      const same = known?.boot === boot ? known : { since: new Date(world.wall).toISOString() };
      const entry = { ...same, id, boot, host, contracts };
      const put = await this.#deps.roster.write(term, [{ id, entry }]);
      await this.#noteWrite(term, `gateway ${id}`, put.ok ? null : put.error);
      if (put.ok) this.#deps.log.info({ gateway: id, boot, host }, 'gateway joined the roster');
      else if (put.error.kind === 'fenced' || ++refusals >= MOST_REFUSALS) return;
    }
  }

  /** The newest of those that have gone are remembered, so that their number is bounded. */
  async #dismiss(world: World, term: Term): Promise<void> {
    const gone = [...(world.witnesses.gone ?? [])].sort(([, a], [, b]) => (a.at < b.at ? 1 : -1));
    for (const [id] of gone.slice(MOST_DEPARTED)) {
      if (!this.#mayWrite(`gateway ${id}`)) continue;
      const removed = await this.#deps.roster.write(term, [{ id, entry: null }]);
      await this.#noteWrite(term, `gateway ${id}`, removed.ok ? null : removed.error);
      if (!removed.ok) return;
    }
  }

  /** Writes down which operations ended and which intents expired: one compare-and-set per service. */
  async #recordEnds(world: World, term: Term): Promise<void> {
    if (dueOf(world) < this.#allRestUntil(world.intents)) return;
    let refusals = 0;
    for (const [service, stored] of world.intents) {
      if (dueOf(world) < this.#restsUntil.of(service, stored.record)) continue;
      if (world.damaged.has(service) || !this.#mayWrite(service)) continue;
      const edit = await this.#editOf(world, service, stored);
      if (!edit) continue;
      const { record } = edit;
      const written = await this.#deps.intents.write(term, [edit]);
      await this.#noteWrite(term, service, written.ok ? null : written.error);
      if (written.ok) this.#logEnds(service, stored.record, record ?? stored.record);
      else if (written.error.kind === 'fenced' || ++refusals >= MOST_REFUSALS) return;
    }
  }

  /** What is to be written down of a service, or null; what people did goes to the history where the record has much of it. */
  async #editOf(world: World, service: string, stored: StoredIntent): Promise<IntentEdit | null> {
    const { etag } = stored;
    const ended = recordAfter(world, service, stored);
    const record = ended ?? stored.record;
    if (rollHistory(record, []) === null) return ended && { service, etag, record };
    const history = await this.#deps.histories.read(service);
    const rolled = history.ok ? rollHistory(record, history.value?.events ?? []) : null;
    // One that cannot be read now blocks nothing else: the record keeps its events until later.
    if (!history.ok || rolled === null) return ended && { service, etag, record };
    const after = { etag: history.value?.etag ?? null, events: rolled.history };
    return { service, etag, record: rolled.record, history: after };
  }

  #logEnds(service: string, before: IntentRecord, after: IntentRecord): void {
    const fresh = after.events.filter((event) => event.by === 'controller' && !before.events.includes(event));
    for (const { event, instance, message } of fresh)
      this.#deps.log.info({ service, event, instance }, message);
  }

  #mayWrite(what: string): boolean {
    return this.#writing.get(what)?.over ?? true;
  }

  async #noteWrite(term: Term, what: string, failure: WriteFailure | null): Promise<void> {
    if (failure === null) {
      this.#writing.delete(what);
      return;
    }
    if (failure.kind === 'fenced') {
      await this.#deps.authority.refused(term);
      return;
    }
    const backoff = this.#writing.get(what) ?? new Backoff(this.#deps.clock);
    this.#writing.set(what, backoff);
    const reason = failure.kind === 'unavailable' ? failure.reason : failure.kind;
    if (backoff.failed()) this.#deps.log.warn({ record: what, reason }, 'not written; will try again');
  }

  /** Members that are gone leave the set once no gateway has an open request for them. */
  #dropEmpty(world: World): void {
    for (const { service, gone } of this.#withGone(world.compiled)) {
      const empty = gone.filter(
        (id) => proveDrained(service, id, drainTarget(world, service, id), world.witnesses).drained,
      );
      const dropped = new Set([...empty, ...surplusGone(membersIn(world, service), MOST_GONE)]);
      if (dropped.size === 0) continue;
      this.#deps.desired.drop(service, [...dropped]);
      this.#deps.wake();
    }
  }

  /**
   * A set that a gateway found damaged is written again, with all others: Redis is in doubt. Damage that is not healed by
   * that (the gateway's own fault) must not become a storm of epochs, so each healing waits longer than the one before.
   */
  #healDamage(world: World): void {
    const reason = damageIn(world);
    const quietSince = this.#deps.clock.monotonic() - HEALING_MS.most;
    if (reason === null && this.#healing.retryAt < quietSince) this.#healing.succeeded();
    if (reason === null || !this.#healing.over) return;
    this.#healing.failed();
    this.#deps.publication.doubt(reason);
  }
}

function recordAfter(world: World, service: string, stored: StoredIntent): IntentRecord | null {
  const target = (of: string, instance: string) => drainTarget(world, of, instance);
  const due = dueOf(world);
  const advanced = advanceOperations(service, stored.record, target, world.witnesses, world.wall, due);
  const expired = expireIntents(advanced ?? stored.record, world.wall, due) ?? advanced;
  const isOut = (id: string): boolean => isOutOf(world, service, id);
  return endAcceptance(expired ?? stored.record, membersIn(world, service), isOut) ?? expired;
}

/** True if the set that is published for sure under this epoch aims no request at `id`. */
function isOutOf(world: World, service: string, id: string): boolean {
  const document = world.published.get(service)?.document;
  if (document === undefined || publishedAt(world, service) === null) return false;
  if (world.unsettled.has(service) || !('peers' in document)) return false;
  return document.peers.every((peer) => peer.id !== id || !eligible(peer));
}

/** A new leader knows by the roster what a gateway that is silent by then understands. */
function sameContracts(known: readonly number[] = [OLDEST_CONTRACT], said: readonly number[]): boolean {
  return known.join() === said.join();
}

function damageIn(world: World): string | null {
  for (const [id, heard] of world.witnesses.fleet.heard) {
    if (isSilent(heard, world.witnesses)) continue;
    const { applied, rejected } = heard.heartbeat;
    for (const { service, generation, code } of rejected) {
      const published = world.published.get(service);
      // Of the present epoch, and at or above what we wrote: below it, the refusal is of something that is replaced already.
      const present = published?.epoch === world.epoch && applied?.epoch === world.epoch;
      if (DAMAGE.has(code) && present && generation >= published.generation)
        return `gateway ${id} found the set of ${service} damaged (${code})`;
    }
  }
  return null;
}
