import type { FreezeStore, GlobalFreeze } from '../../model/freeze_ports.js';
import type { RosterEntry } from '../../model/gateway.js';
import type { ServiceEvent } from '../../model/intent.js';
import { checkName } from '../../model/names.js';
import type {
  Clock,
  HistoryStore,
  IntentStore,
  LinkState,
  Log,
  RegistrySource,
  RosterStore,
  Term,
} from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import type { RegistryView } from '../../model/registration.js';
import type { Mutation, MutationContext, MutationResource } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import type { PublishedDocument } from '../../model/set.js';
import {
  changesOfAcceptance,
  missingGateways,
  missingReleases,
  recordsOfAcceptance,
  type LossFacts,
} from '../../plan/acceptance.js';
import { recallRecords } from '../../plan/recall.js';
import type { World } from '../../plan/world.js';
import { batchesOf, editsOf, type Accepted, type Held } from './acceptance_edits.js';

/** What a data loss is judged with. */
export interface DataLossDeps {
  readonly registry: RegistrySource;
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly freezes: FreezeStore;
  readonly histories: HistoryStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Why Redis is known to be ahead of ZooKeeper, or null. */
  readonly hold: () => string | null;
  /** Connected = every store has looked at what the present connection shows. */
  readonly zookeeper: () => LinkState;
  /** The gateways' entries that were known before the loss; null while who else may be one has not been read. */
  readonly gateways: () => ReadonlyMap<string, RosterEntry> | null;
  /** Service → what people did, as it was shown last. */
  readonly history: () => ReadonlyMap<string, readonly ServiceEvent[]>;
  readonly world: () => World;
  /** The releases that run, as far as they were ever read. */
  readonly running: () => readonly ReleaseRecord[];
  /** The freeze of everything, as it was read last. */
  readonly frozen: () => GlobalFreeze | null;
  /** What is published, or was found so. */
  readonly published: () => ReadonlyMap<string, PublishedDocument>;
  /** The office is to be taken anew, and `settle` to be called before anything is published. */
  readonly begin: () => void;
  /** Resolves once everything is published again, or with false after a bounded time. */
  readonly ended: () => Promise<boolean>;
}

type Acceptance = Extract<Mutation, { kind: 'accept_data_loss' }>;

/**
 * Whether ZooKeeper has lost what it held, and the way on. From the moment in which a loss is seen nothing is published or
 * written; an acceptance has everything read anew, writes the roster (and the wishes, if they are to be kept) back, and only
 * then the office is raised above what Redis holds. Whoever starts after a crash on the way finds the loss again.
 */
export class DataLoss {
  readonly #deps: DataLossDeps;
  #accepted: Accepted | null = null;
  /** The last acceptance that was asked for with a key. */
  #answered: { readonly key: string; readonly keep: boolean; readonly outcome: MutationResource } | null =
    null;

  constructor(deps: DataLossDeps) {
    this.#deps = deps;
  }

  /** A history that alone is gone is begun anew: nothing that is in force depends on it. */
  tendHistories(): void {
    const { histories, zookeeper } = this.#deps;
    // Of a whole that is lost the others may be found a moment later.
    const alone = this.seen === null && zookeeper().state === 'connected';
    if (alone && histories.loss() !== null) histories.acceptDataLoss();
  }

  /** What was lost, as far as ZooKeeper itself shows it; nothing may be written or published meanwhile. */
  get seen(): string | null {
    const { registry, intents, roster, releases, freezes } = this.#deps;
    return registry.loss() ?? intents.loss() ?? roster.loss() ?? releases.loss() ?? freezes.loss();
  }

  /** Why everything stands still until a person has judged, or null. */
  get reason(): string | null {
    const seen = this.seen;
    if (seen === null) return this.#deps.hold();
    return (
      `ZooKeeper has lost data (${seen}). Nothing is published, and no wish is taken. Restore ZooKeeper; or, if what it ` +
      'holds now is right, say so: ebbgate accept-data-loss'
    );
  }

  /** Judges an acceptance; unless it is a dry run, begins it and waits for its end for a bounded time. */
  async accept(mutation: Acceptance, context: MutationContext): Promise<Result<MutationResource, Problem>> {
    const repeated = this.#repeated(mutation, context);
    if (repeated) return repeated;
    if (context.reason.trim() === '')
      return err({
        code: 'invalid_request',
        field: 'reason',
        detail:
          'Accepting a data loss needs a reason: say how it is known that what ZooKeeper holds now is right',
      });
    if (this.reason === null)
      return err({
        code: 'no_data_loss',
        detail: 'ZooKeeper has lost nothing that this controller knows of, so there is nothing to accept.',
      });
    const held = await this.#held();
    if (!held.ok)
      return err({
        code: 'store_unavailable',
        detail: `What ZooKeeper holds now cannot be read (${held.error}), so it cannot be accepted. Nothing was changed.`,
      });
    // After the reading: of two at the same time one has begun by now.
    if (this.#accepted !== null && this.#accepted.keep !== mutation.keep_intents)
      return err({
        code: 'conflict',
        field: 'keep_intents',
        detail:
          `An acceptance by ${this.#accepted.by} with keep_intents ${this.#accepted.keep} is under way. ` +
          'It cannot be changed any more: wait for its end, then decide anew what is missing or too much.',
      });
    const accepted = this.#accepted ?? this.#remember(mutation, context, held.value.view);
    if (accepted === null)
      return err({
        code: 'not_ready',
        detail: 'Redis has not told yet which gateways there may be. Nothing was changed. Try again.',
      });
    const changes = changesOfAcceptance(this.#facts(accepted, held.value));
    const outcome = {
      dry_run: context.dry_run,
      changes,
      guards: [],
      blockers: [],
      operation: null,
      etags: {},
    };
    if (context.dry_run) return ok({ ...outcome, published: false });
    this.#begin(accepted, changes.length);
    const published = await this.#deps.ended();
    const answer = { ...outcome, published };
    if (context.idempotency_key !== null)
      this.#answered = { key: context.idempotency_key, keep: mutation.keep_intents, outcome: answer };
    return ok(answer);
  }

  /**
   * Writes back, under a term that still stands below what Redis holds, what has to outlive the loss. An error says what
   * is missing; it is tried again.
   */
  async settle(term: Term): Promise<Result<null, string>> {
    const accepted = this.#accepted;
    if (accepted === null) return ok(null);
    const { intents, roster, releases, clock, log } = this.#deps;
    const held = await this.#held();
    if (!held.ok) return held;
    const facts = { ...this.#facts(accepted, held.value), wall: clock.wall() };
    for (const entry of missingGateways(facts)) {
      const put = await roster.put(term, entry);
      if (!put.ok) return err(`the roster: ${put.error.kind}`);
    }
    const edits = editsOf(recordsOfAcceptance(facts, accepted), accepted, held.value);
    for (const batch of batchesOf(edits)) {
      const written = await intents.write(term, batch);
      if (!written.ok) return err(`what was decided: ${written.error.kind}`);
    }
    for (const record of accepted.keep ? missingReleases(facts) : []) {
      const { service } = record;
      const written = await releases.write(term, { service, etag: null, current: record, archive: null });
      if (!written.ok) return err(`the release of ${service}: ${written.error.kind}`);
    }
    const { freeze } = accepted;
    if (accepted.keep && freeze !== null && !held.value.freeze) {
      const written = await this.#deps.freezes.write(term, null, freeze);
      if (!written.ok) return err(`the freeze of everything: ${written.error.kind}`);
    }
    this.#accepted = null;
    log.warn(
      { services: edits.length, gateways: accepted.roster.size },
      'data loss settled; taking office anew',
    );
    return ok(null);
  }

  #repeated(mutation: Acceptance, { idempotency_key, dry_run }: MutationContext) {
    const answered = this.#answered;
    if (answered === null || dry_run || answered.key !== idempotency_key) return null;
    if (answered.keep === mutation.keep_intents) return ok(answered.outcome);
    return err({
      code: 'idempotency_conflict',
      detail: 'This Idempotency-Key was used for an acceptance with another keep_intents.',
    } satisfies Problem);
  }

  async #held(): Promise<Result<Held, string>> {
    const { registry, intents, roster, releases, freezes, histories } = this.#deps;
    const [view, wishes, gateways, found, frozen, told] = await Promise.all([
      registry.peek(),
      intents.peek(),
      roster.peek(),
      releases.peek(),
      freezes.peek(),
      histories.peek(),
    ]);
    if (!view.ok) return view;
    if (!wishes.ok) return wishes;
    if (!gateways.ok) return gateways;
    if (!found.ok) return found;
    if (!frozen.ok) return frozen;
    if (!told.ok) return told;
    const running = [...found.value].filter(([, { current }]) => current !== null);
    const named = [...wishes.value].filter(([service]) => checkName('service', service).ok);
    return ok({
      view: view.value,
      intents: new Map(named),
      roster: gateways.value,
      histories: told.value,
      releases: new Set(running.map(([service]) => service)),
      freeze: frozen.value.size > 0,
    });
  }

  /** What is known now, before anything is read anew. */
  #remember(
    { keep_intents }: Acceptance,
    { by, reason }: MutationContext,
    view: RegistryView,
  ): Accepted | null {
    const roster = this.#deps.gateways();
    if (roster === null) return null;
    const world = this.#deps.world();
    const shown = [...world.intents].map(([service, { record }]) => [service, record] as const);
    const known = new Map([...recallRecords(this.#deps.published(), view, world.wall), ...shown]);
    return { keep: keep_intents, by, reason, known, roster, ...this.#running() };
  }

  #running(): Pick<Accepted, 'history' | 'releases' | 'freeze'> {
    const { history, running, frozen } = this.#deps;
    return { history: history(), releases: running(), freeze: frozen() };
  }

  #facts({ keep, known, roster, releases, freeze }: Accepted, held: Held): LossFacts {
    const { membership, wall } = this.#deps.world();
    const records = new Map([...held.intents].map(([service, { record }]) => [service, record]));
    return {
      membership,
      view: held.view,
      known,
      held: records,
      roster: { known: roster, held: held.roster },
      releases: { known: releases, held: held.releases },
      freeze: { known: freeze?.freeze ?? null, held: held.freeze },
      keep,
      wall,
    };
  }

  #begin(accepted: Accepted, changes: number): void {
    const { registry, intents, roster, releases, freezes, histories, log } = this.#deps;
    if (this.#accepted !== null) return;
    const { by, reason, keep } = accepted;
    log.warn({ by, reason, keep_intents: keep, changes }, 'data loss accepted');
    this.#accepted = accepted;
    for (const store of [registry, intents, roster, releases, freezes, histories]) store.acceptDataLoss();
    this.#deps.begin();
  }
}
