import type { AuditEntry } from '../../model/audit.js';
import type { RosterEntry } from '../../model/gateway.js';
import type { Clock, LinkState } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { RegistryView } from '../../model/registration.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import type { StoredConsumer } from '../../model/api_consumer_ports.js';
import type { StoredToken } from '../../model/token_ports.js';
import { changesOfAcceptance } from '../../plan/acceptance.js';
import { recallRecords } from '../../plan/recall.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Passes } from '../passes.js';
import type { Accepted } from './acceptance_edits.js';
import { recordsIn, type LossSettlement, type LossStores } from './loss_settlement.js';
import type { Leadership } from './leadership.js';
import type { Publication } from './publication.js';

export interface DataLossDeps {
  readonly stores: LossStores;
  readonly settlement: LossSettlement;
  readonly leadership: Pick<Leadership, 'suspended'>;
  readonly publication: Pick<Publication, 'state' | 'remembered' | 'acceptLoss'>;
  readonly inputs: Pick<
    Inputs,
    'intents' | 'history' | 'running' | 'storedFreeze' | 'tokens' | 'apiConsumers' | 'fleet'
  >;
  /** The greatest number of a record of the audit in any copy. */
  readonly copiedAudit: () => Promise<number>;
  readonly passes: Pick<Passes, 'urge' | 'until'>;
  readonly clock: Pick<Clock, 'wall'>;
  /** Connected = every store has looked at what the present connection shows. */
  readonly truthLink: () => LinkState;
}

/** How long the answer to an acceptance waits for everything to be published again, in milliseconds. */
const ACCEPTANCE_MS = 15_000;

type Acceptance = Extract<Mutation, { kind: 'accept_data_loss' }>;

/**
 * Whether ZooKeeper has lost what was in it, and the way on. From the moment in which a loss is seen nothing is published or
 * written; an acceptance has everything read again, writes the roster (and the intents, if they are to be kept) back, and only
 * then the epoch is raised above that of Redis. Whoever starts after a crash on the way finds the loss again.
 */
export class DataLoss {
  readonly #deps: DataLossDeps;
  /** The last acceptance that was asked for with a key. */
  #answered: { readonly key: string; readonly keep: boolean; readonly outcome: MutationResource } | null =
    null;

  constructor(deps: DataLossDeps) {
    this.#deps = deps;
  }

  /** A history that alone is gone is begun again: nothing that is in force depends on it. */
  tendHistories(): void {
    const { stores, truthLink } = this.#deps;
    // Of a whole that is lost the others may be found a moment later.
    const alone = this.seen === null && truthLink().state === 'connected';
    if (alone && stores.histories.loss() !== null) stores.histories.acceptDataLoss();
  }

  /** What was lost, as far as ZooKeeper itself shows it; nothing may be written or published meanwhile. */
  get seen(): string | null {
    const { registry, intents, roster, releases, freezes, tokens, apiConsumers } = this.#deps.stores;
    for (const store of [registry, intents, roster, releases, freezes, tokens, apiConsumers]) {
      const loss = store.loss();
      if (loss !== null) return loss;
    }
    return null;
  }

  /** The tokens that were valid before a loss that this controller has seen happen; null: it has seen none, or only what came after. */
  get tokensBefore(): ReadonlyMap<string, StoredToken> | null {
    const { inputs, leadership } = this.#deps;
    return this.seen === null || leadership.suspended !== null ? null : inputs.tokens;
  }

  /** The same of the consumers. */
  get consumersBefore(): ReadonlyMap<string, StoredConsumer> | null {
    const { inputs, leadership } = this.#deps;
    return this.seen === null || leadership.suspended !== null ? null : inputs.apiConsumers;
  }

  /** Why nothing is published or written until a person has decided, or null. */
  get reason(): string | null {
    const { seen } = this;
    if (seen === null) return this.#deps.leadership.suspended;
    return (
      `ZooKeeper has lost data (${seen}). Nothing is published, and no change is taken. Restore ZooKeeper; or, if what is ` +
      'in it now is right, say so: ebbgate accept-data-loss; or bring the copy back: ebbgate restore --from redis|file'
    );
  }

  /**
   * Checks an acceptance; unless it is a dry run, begins it and waits for its end for a bounded time. A repeated acceptance joins
   * the one that is under way. `entryOf` makes its record, which is written with what it writes back.
   */
  async accept(
    mutation: Acceptance,
    context: MutationContext,
    entryOf: (changes: readonly PlannedChange[]) => AuditEntry,
  ): Promise<Result<MutationResource, Problem>> {
    const { settlement, publication, passes } = this.#deps;
    const repeated = this.#repeated(mutation, context);
    if (repeated) return repeated;
    if (context.reason.trim() === '') return err(NO_REASON);
    // Stores that were read again show no loss any more, before the acceptance that is under way has ended.
    if (this.reason === null && settlement.accepted === null) return err(NO_LOSS);
    const present = await settlement.read();
    if (!present.ok) return err(unreadable(present.error));
    const copied = await this.#deps.copiedAudit();
    // After the reading: of two at the same time one has begun by now.
    const underWay = settlement.accepted;
    if (underWay !== null && underWay.keep !== mutation.keep_intents) return err(decidedOtherwise(underWay));
    const accepted = underWay ?? this.#remember(mutation, context, present.value.view, copied);
    if (accepted === null) return err(GATEWAYS_UNKNOWN);
    const changes = changesOfAcceptance(settlement.facts(accepted, present.value));
    const { dry_run } = context;
    const outcome = { dry_run, changes, guards: [], blockers: [], operation: null, etags: {} };
    if (dry_run) return ok({ ...outcome, published: false });
    if (settlement.begin(accepted, () => entryOf(changes))) {
      publication.acceptLoss();
      passes.urge();
    }
    const answer = { ...outcome, published: await this.#ended() };
    if (context.idempotency_key !== null)
      this.#answered = { key: context.idempotency_key, keep: mutation.keep_intents, outcome: answer };
    return ok(answer);
  }

  /**
   * Ends the loss by a copy: `settled` makes what is accepted of the gateways and intents that are known now. True if everything is
   * published again.
   */
  async restore(
    settled: (roster: Accepted['roster'], known: Accepted['known']) => Accepted,
    entry: () => AuditEntry,
  ): Promise<Result<boolean, Problem>> {
    const { settlement, publication, passes, inputs, clock } = this.#deps;
    const present = await settlement.read();
    if (!present.ok) return err(unreadable(present.error));
    const roster = this.#gateways();
    if (roster === null) return err(GATEWAYS_UNKNOWN);
    const shown = [...(inputs.intents ?? [])].map(([service, { record }]) => [service, record] as const);
    const recalled = recallRecords(publication.remembered, present.value.view, clock.wall());
    const accepted = settled(roster, new Map([...recalled, ...shown]));
    if (!settlement.begin(accepted, entry)) return err(UNDER_WAY);
    publication.acceptLoss();
    passes.urge();
    return ok(await this.#ended());
  }

  /** Resolves once leadership was taken again and everything is published again, or with false after a bounded time. */
  async #ended(): Promise<boolean> {
    const { publication, passes } = this.#deps;
    const isOver = (): boolean => this.reason === null && publication.state === 'sealed';
    await passes.until(ACCEPTANCE_MS, isOver);
    return isOver();
  }

  #repeated(
    mutation: Acceptance,
    { idempotency_key, dry_run }: MutationContext,
  ): Result<MutationResource, Problem> | null {
    const answered = this.#answered;
    if (answered === null || dry_run || answered.key !== idempotency_key) return null;
    if (answered.keep !== mutation.keep_intents) return err(KEY_TAKEN);
    return ok(answered.outcome);
  }

  /** What is known now, before anything is read again; null while it is not known which gateways there may be. */
  #remember(
    { keep_intents }: Acceptance,
    { by, reason }: MutationContext,
    view: RegistryView,
    copied: number,
  ): Accepted | null {
    const { inputs, publication, clock } = this.#deps;
    const roster = this.#gateways();
    if (roster === null) return null;
    const shown = [...(inputs.intents ?? [])].map(([service, { record }]) => [service, record] as const);
    const known = new Map([...recallRecords(publication.remembered, view, clock.wall()), ...shown]);
    return {
      ...{ keep: keep_intents, by, reason, known, roster },
      history: inputs.history,
      releases: inputs.running.map(({ record }) => record),
      freeze: inputs.storedFreeze?.record ?? null,
      tokens: inputs.tokens === null ? null : recordsIn(inputs.tokens),
      consumers: inputs.apiConsumers === null ? null : recordsIn(inputs.apiConsumers),
      goOnAfter: copied,
    };
  }

  /** The gateways' entries that were known before the loss; null while who else may be one has not been read. */
  #gateways(): ReadonlyMap<string, RosterEntry> | null {
    const { inputs, leadership, clock } = this.#deps;
    // Redis is ahead: this controller began after the loss.
    const began = leadership.suspended === null ? 'before' : 'after';
    return inputs.fleet.before({ began, wall: clock.wall() });
  }
}

const NO_REASON: Problem = {
  code: 'invalid_request',
  field: 'reason',
  detail: 'Accepting a data loss needs a reason: say how it is known that what is in ZooKeeper now is right',
};
const NO_LOSS: Problem = {
  code: 'no_data_loss',
  detail: 'ZooKeeper has lost nothing that this controller knows of, so there is nothing to accept.',
};
const GATEWAYS_UNKNOWN: Problem = {
  code: 'not_ready',
  detail: 'Redis has not shown yet which gateways there may be. Nothing was changed. Try again.',
};
const UNDER_WAY: Problem = {
  code: 'conflict',
  detail: 'An acceptance of this data loss is under way. Wait for its end.',
};
const KEY_TAKEN: Problem = {
  code: 'idempotency_conflict',
  detail: 'This Idempotency-Key was used for an acceptance with another keep_intents.',
};

function unreadable(error: string): Problem {
  return {
    code: 'store_unavailable',
    detail: `What is in ZooKeeper now cannot be read (${error}), so it cannot be accepted. Nothing was changed.`,
  };
}

function decidedOtherwise({ by, keep }: Accepted): Problem {
  return {
    code: 'conflict',
    field: 'keep_intents',
    detail:
      `An acceptance by ${by} with keep_intents ${String(keep)} is under way. ` +
      'It cannot be changed any more: wait for its end, then decide again what is missing or too much.',
  };
}
