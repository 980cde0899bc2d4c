import type { ApiConsumerStore } from '../../model/api_consumer_ports.js';
import type { AuditEntry } from '../../model/audit.js';
import type { AuditStore } from '../../model/audit_ports.js';
import { checkName } from '../../model/names.js';
import type { FreezeStore } from '../../model/freeze_ports.js';
import type {
  Clock,
  HistoryStore,
  IntentStore,
  Log,
  RegistrySource,
  RosterStore,
  Term,
} from '../../model/ports.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import type { TokenStore } from '../../model/token_ports.js';
import { allOf, err, ok, type Result } from '../../model/result.js';
import {
  missingConsumers,
  missingGateways,
  missingReleases,
  missingTokens,
  recordsOfAcceptance,
  type LossFacts,
} from '../../plan/acceptance.js';
import { writeConsumers } from '../copies/write_consumers.js';
import { writeReleases } from '../copies/write_copy.js';
import type { Membership } from '../../plan/membership.js';
import { batchesOf, editsOf, type Accepted, type Present } from './acceptance_edits.js';

/** Everything in ZooKeeper that can be lost. */
export interface LossStores {
  readonly registry: RegistrySource;
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly freezes: FreezeStore;
  readonly histories: HistoryStore;
  readonly audit: AuditStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
}

export interface LossSettlementDeps {
  readonly stores: LossStores;
  readonly membership: () => Membership;
  readonly clock: Pick<Clock, 'wall'>;
  readonly log: Log;
}

/** An acceptance of a data loss, from the moment in which it begins until what has to outlive the loss is written back. */
export class LossSettlement {
  readonly #deps: LossSettlementDeps;
  #accepted: Accepted | null = null;
  /** Its record, until that is written. */
  #entry: AuditEntry | null = null;

  constructor(deps: LossSettlementDeps) {
    this.#deps = deps;
  }

  get #all(): readonly { acceptDataLoss(): void }[] {
    const { registry, intents, roster, releases, freezes, histories, tokens, apiConsumers } =
      this.#deps.stores;
    return [registry, intents, roster, releases, freezes, histories, tokens, apiConsumers];
  }

  /** What was accepted and is not settled yet, or null. */
  get accepted(): Accepted | null {
    return this.#accepted;
  }

  /** Begins: every store reads as if for the first time. False if one is under way. */
  begin(accepted: Accepted, entry: () => AuditEntry): boolean {
    if (this.#accepted !== null) return false;
    this.#accepted = accepted;
    this.#entry = entry();
    for (const store of this.#all) store.acceptDataLoss();
    return true;
  }

  /** What is in ZooKeeper now; or why it cannot be read. */
  async read(): Promise<Result<Present, string>> {
    const { registry, intents, roster, releases, freezes, histories, tokens, apiConsumers } =
      this.#deps.stores;
    const answers = await Promise.all([
      registry.peek(),
      intents.peek(),
      roster.peek(),
      releases.peek(),
      freezes.peek(),
      histories.peek(),
      tokens.peek(),
      apiConsumers.peek(),
    ]);
    const peeked = allOf(answers);
    if (!peeked.ok) return peeked;
    const [view, records, gateways, found, frozen, events, secrets, consumers] = peeked.value;
    const running = [...found].filter(([, { current }]) => current !== null);
    const named = [...records].filter(([service]) => checkName('service', service).ok);
    return ok({
      view,
      intents: new Map(named),
      roster: gateways,
      histories: events,
      releases: new Set(running.map(([service]) => service)),
      freeze: frozen.size > 0,
      tokens: secrets,
      consumers,
    });
  }

  /** What an acceptance is worked out from. */
  facts({ keep, known, roster, releases, freeze, tokens, consumers }: Accepted, present: Present): LossFacts {
    const records = new Map([...present.intents].map(([service, { record }]) => [service, record]));
    return {
      membership: this.#deps.membership(),
      view: present.view,
      known,
      found: records,
      roster: { known: roster, found: present.roster },
      releases: { known: releases, found: present.releases },
      freeze: { known: freeze?.freeze ?? null, found: present.freeze },
      tokens: { known: tokens ?? recordsIn(present.tokens), found: present.tokens },
      consumers: { known: consumers ?? recordsIn(present.consumers), found: present.consumers },
      keep,
      wall: this.#deps.clock.wall(),
    };
  }

  /**
   * Writes back, under a term whose epoch is still below that of Redis, what has to outlive the loss. An error says what is
   * missing; it is tried again.
   */
  async settle(term: Term): Promise<Result<null, string>> {
    const accepted = this.#accepted;
    if (accepted === null) return ok(null);
    const present = await this.read();
    if (!present.ok) return present;
    const written = await this.#writeBack(term, accepted, present.value);
    if (!written.ok) return written;
    this.#accepted = null;
    const gateways = accepted.roster.size;
    this.#deps.log.warn({ services: written.value, gateways }, 'data loss settled; taking leadership again');
    return ok(null);
  }

  /** The number of services that were written. */
  async #writeBack(term: Term, accepted: Accepted, present: Present): Promise<Result<number, string>> {
    const { intents, roster, releases, freezes, audit } = this.#deps.stores;
    audit.goOnAfter(accepted.goOnAfter);
    // First, so that nothing is written back without a record of who wanted it.
    const recorded = this.#entry === null ? ok(null) : await audit.append(term, this.#entry);
    if (!recorded.ok) return err(`the audit: ${recorded.error.kind}`);
    this.#entry = null;
    const facts = this.facts(accepted, present);
    for (const entry of missingGateways(facts)) {
      const put = await roster.write(term, [{ id: entry.id, entry }]);
      if (!put.ok) return err(`the roster: ${put.error.kind}`);
    }
    for (const edit of missingTokens(facts)) {
      const put = await this.#deps.stores.tokens.write(term, [edit]);
      // What is there and cannot be read is nobody's token, and shown as a problem.
      if (!put.ok && put.error.kind !== 'conflict') return err(`the token ${edit.name}: ${put.error.kind}`);
    }
    const consumers = await writeConsumers(this.#deps.stores.apiConsumers, term, missingConsumers(facts));
    if (!consumers.ok && consumers.error.kind !== 'conflict')
      return err(`the consumers: ${consumers.error.kind}`);
    const edits = editsOf(recordsOfAcceptance(facts, accepted), accepted, present);
    for (const batch of batchesOf(edits)) {
      const written = await intents.write(term, batch);
      if (!written.ok) return err(`the intents: ${written.error.kind}`);
    }
    const missing = new Map(
      (accepted.keep ? missingReleases(facts) : []).map((record) => [record.service, record]),
    );
    const back = { ended: accepted.ended ?? [], releases: missing };
    const put = await writeReleases(releases, term, back, present.releases);
    if (!put.ok) return err(`the releases: ${put.error.kind}`);
    const { freeze } = accepted;
    if (accepted.keep && freeze !== null && !present.freeze) {
      const written = await freezes.write(term, [{ etag: null, record: freeze }]);
      if (!written.ok) return err(`the freeze of everything: ${written.error.kind}`);
    }
    return ok(edits.length);
  }
}

/** Records by name, without their etags. */
export function recordsIn<T>(stored: ReadonlyMap<string, { readonly record: T }>): ReadonlyMap<string, T> {
  return new Map([...stored].map(([name, { record }]) => [name, record]));
}
