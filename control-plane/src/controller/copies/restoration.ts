import type { AuditRecord } from '../../model/audit.js';
import type { MutationContext, MutationResource, PlannedChange, Mutation } from '../../model/mutation.js';
import type { WriteFailure } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import type { ReadCopy, TruthRecords } from '../../model/truth_copy.js';
import { NOTHING_PRUNED, pruned, type Pruned } from '../../plan/prune.js';
import { changesOfRestore, digestOf, restorable } from '../../plan/restore.js';
import {
  restoredAudit,
  revocationsIn,
  type RestoredAudit,
  type Revocation,
} from '../../plan/restore_audit.js';
import { restoredConsumers, type RestoredConsumers } from '../../plan/restore_consumers.js';
import { restoredTokens, type RestoredTokens } from '../../plan/restore_tokens.js';
import type { Membership } from '../../plan/membership.js';
import { entryOf, noUndo } from '../commands/entry.js';
import type { Authority } from '../office/authority.js';
import type { Accepted, Present } from '../office/acceptance_edits.js';
import type { DataLoss } from '../office/data_loss.js';
import type { LossSettlement, LossStores } from '../office/loss_settlement.js';
import type { Passes } from '../passes.js';
import type { Copies } from './copies.js';
import { writeCopy } from './write_copy.js';

type Restore = Extract<Mutation, { kind: 'restore_copy' }>;

export interface RestorationDeps {
  readonly copies: Copies;
  readonly stores: LossStores;
  readonly settlement: Pick<LossSettlement, 'read'>;
  readonly loss: Pick<DataLoss, 'reason' | 'restore' | 'tokensBefore' | 'consumersBefore'>;
  readonly authority: Pick<Authority, 'notLeader' | 'refusal' | 'term'>;
  readonly membership: () => Membership;
  readonly passes: Pick<Passes, 'settled'>;
  readonly clock: { readonly wall: () => number };
}

/** Records of the audit that are read at once. */
const PART = 2_000;

type ComparedAudit = RestoredAudit & { readonly revoked: ReadonlyMap<string, Revocation> };

/** All that a restoration writes. */
interface Whole {
  readonly records: TruthRecords;
  readonly tokens: RestoredTokens;
  readonly consumers: RestoredConsumers;
  readonly audit: RestoredAudit;
  readonly pruned: Pruned;
}

const FINAL = noUndo('export before you import, and import that');

/** Brings a copy back: over a ZooKeeper that has lost data, and ends that; or beside what is there. */
export class Restoration {
  readonly #deps: RestorationDeps;

  constructor(deps: RestorationDeps) {
    this.#deps = deps;
  }

  /** What it changes is shown with a digest; it is applied only with the digest of what it changes now. */
  async restore(mutation: Restore, context: MutationContext): Promise<Result<MutationResource, Problem>> {
    const { authority, loss, settlement, clock, membership, copies } = this.#deps;
    if (authority.notLeader !== null) return err(authority.notLeader);
    if (context.reason.trim() === '') return err(NO_REASON);
    const copy = await this.#copyOf(mutation);
    if (!copy.ok) return err(bad(copy.error, mutation));
    const isLost = loss.reason !== null;
    const refusal = isLost ? null : authority.refusal(context.dry_run);
    if (refusal !== null) return err(refusal);
    if (isLost && mutation.prune) return err(PRUNE_AND_LOSS);
    const present = await settlement.read();
    if (!present.ok) return err(unreadable(present.error));
    const wall = clock.wall();
    const { records, left } = restorable(copy.value, { by: context.by, wall });
    const frozen = await this.#deps.stores.freezes.peek();
    if (!frozen.ok) return err(unreadable(frozen.error));
    const found = {
      intents: new Map([...present.value.intents].map(asRecord)),
      ...{ roster: present.value.roster, running: present.value.releases },
      freeze: frozen.value.get('freeze')?.record ?? null,
      histories: present.value.histories.keys(),
    };
    const audit = await this.#audit(copy.value);
    if (!audit.ok) return err(unreadable(audit.error));
    const tokens = restoredTokens({
      ...{ copied: records.tokens, found: present.value.tokens, before: loss.tokensBefore, isLost },
      ...{ revoked: audit.value.revoked, prune: mutation.prune },
    });
    const consumers = restoredConsumers({
      ...{ copied: records.consumers, found: present.value.consumers, before: loss.consumersBefore, isLost },
      ...{ revoked: audit.value.revoked, prune: mutation.prune },
    });
    const gone = mutation.prune ? pruned(copy.value, found, membership(), wall) : NOTHING_PRUNED;
    const changes = [
      // First, so that the record of a large restoration names them.
      ...[...tokens.changes, ...consumers.changes, ...gone.changes],
      ...[...changesOfRestore(records, found, membership(), wall), ...audit.value.changes, ...left],
    ];
    const digest = digestOf(changes, [...tokens.edits, ...consumers.edits]);
    const outcome = { changes, guards: [], blockers: [], operation: null, etags: {}, diff: digest };
    if (context.dry_run) return ok({ ...outcome, dry_run: true, published: false });
    if (mutation.diff !== digest) return err(OTHERWISE);
    copies.keepPrevious();
    const whole = { records, tokens, consumers, audit: audit.value, pruned: gone };
    const published = isLost
      ? await this.#settle(whole, context, changes, present.value)
      : await this.#apply(whole, context, changes, present.value);
    return published.ok ? ok({ ...outcome, dry_run: false, published: published.value }) : published;
  }

  /** An acceptance gives up what is there now. */
  keepPrevious(): void {
    this.#deps.copies.keepPrevious();
  }

  /** What of the copy's audit is brought back, and which tokens the copy and ZooKeeper know to be revoked. */
  async #audit({
    audit: copied,
    records: { tokens, consumers },
  }: ReadCopy): Promise<Result<ComparedAudit, string>> {
    const { audit } = this.#deps.stores;
    const newest = await audit.newest();
    if (!newest.ok) return newest;
    const present: AuditRecord[] = [];
    const isNeeded = copied.length > 0 || (tokens?.size ?? 0) + (consumers?.size ?? 0) > 0;
    for (let after = (copied[0]?.n ?? 1) - 1; isNeeded;) {
      const part = await audit.following(after, PART);
      if (!part.ok) return part;
      present.push(...part.value);
      const last = part.value.at(-1)?.n;
      if (last === undefined) break;
      after = last;
    }
    const revoked = revocationsIn([...copied, ...present]);
    return ok({ ...restoredAudit(copied, present, newest.value), revoked });
  }

  #copyOf({ from, which, document }: Restore): Promise<Result<ReadCopy, string>> {
    const { copies } = this.#deps;
    return from === 'document' ? Promise.resolve(copies.parse(document)) : copies.read(from, which);
  }

  async #settle(
    { records, tokens, consumers, audit }: Whole,
    context: MutationContext,
    changes: readonly PlannedChange[],
    present: Present,
  ): Promise<Result<boolean, Problem>> {
    const { by, reason } = context;
    const entry = this.#entry(context, changes);
    const goOnAfter = Math.max(audit.goOnAfter, await this.#deps.copies.newestAudit());
    const published = await this.#deps.loss.restore(
      (roster, known): Accepted => ({
        ...{ keep: true, by, reason, history: records.histories, freeze: records.freeze },
        known: new Map([...known, ...[...present.intents].map(asRecord), ...records.intents]),
        roster: new Map([...records.roster, ...roster]),
        releases: [...records.releases.values()],
        ended: records.ended,
        tokens: tokens.valid,
        consumers: consumers.valid,
        goOnAfter,
      }),
      () => entry,
    );
    if (!published.ok) return published;
    // It steers nothing, and may take some seconds: what is published does not wait for it.
    const { authority, stores } = this.#deps;
    const { term } = authority;
    if (term === null) return err(interrupted('this controller does not lead yet'));
    const read = await stores.audit.restore(term, audit.missing);
    return read.ok ? published : err(interruptedBy(read.error));
  }

  async #apply(
    { records, tokens, consumers, audit, pruned: gone }: Whole,
    context: MutationContext,
    changes: readonly PlannedChange[],
    present: Present,
  ): Promise<Result<boolean, Problem>> {
    const { authority, stores, passes } = this.#deps;
    const { term } = authority;
    if (term === null) return err(unreadable('this controller does not lead any more'));
    stores.audit.goOnAfter(audit.goOnAfter);
    const recorded = await stores.audit.append(term, this.#entry(context, changes));
    const beside = {
      ...{ tokens: tokens.edits, consumers: consumers.edits },
      ...{ audit: audit.missing, pruned: gone },
    };
    const written = recorded.ok ? await writeCopy(stores, term, records, present, beside) : recorded;
    await passes.settled();
    if (written.ok) return ok(true);
    const { error } = written;
    if (error.kind === 'conflict') return err(OTHERWISE);
    return err(interruptedBy(error));
  }

  #entry(context: MutationContext, changes: readonly PlannedChange[]) {
    const services = [...new Set(changes.map(({ service }) => service))].filter((one) => /^[^*]/.test(one));
    const audited = { object: 'zookeeper', services, changes, undo: FINAL };
    return entryOf(context, 'restore_copy', audited, this.#deps.clock.wall());
  }
}

function asRecord<T>([service, { record }]: readonly [string, { readonly record: T }]): readonly [string, T] {
  return [service, record];
}

const NO_REASON: Problem = {
  code: 'invalid_request',
  field: 'reason',
  detail: 'Bringing a copy back needs a reason: say why what is in it is right',
};
const PRUNE_AND_LOSS: Problem = {
  code: 'conflict',
  field: 'prune',
  detail:
    'ZooKeeper has lost data. Bring the document back without prune, which ends the loss; then remove what is too much.',
};
const OTHERWISE: Problem = {
  code: 'conflict',
  field: 'diff',
  detail:
    'What it would change is not what was shown: look again with dry_run, and send the diff that it answers.',
};

function bad(reason: string, { from }: Restore): Problem {
  const field = from === 'document' ? 'document' : 'from';
  return { code: 'invalid_request', field, detail: `The copy cannot be used. ${reason}` };
}

function unreadable(reason: string): Problem {
  return {
    code: 'store_unavailable',
    detail: `What is in ZooKeeper now cannot be read (${reason}). Nothing was changed.`,
  };
}

function interruptedBy(failure: WriteFailure): Problem {
  return interrupted(failure.kind === 'unavailable' ? failure.reason : failure.kind);
}

function interrupted(reason: string): Problem {
  return {
    code: 'store_unavailable',
    detail: `ZooKeeper did not take all of it (${reason}). What was written stays; run it again: it goes on with the rest.`,
  };
}
