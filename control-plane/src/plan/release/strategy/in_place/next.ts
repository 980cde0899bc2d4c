import type { ReleaseRecord } from '../../../../model/release.js';
import type { BatchInstance, LeftOut } from '../../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import { obedience, readiness } from '../../facts.js';
import type { Outcome } from '../../outcome.js';
import { enter, hasBegun } from '../../record.js';
import { sameShares } from '../../shares.js';
import {
  addLeftOut,
  goalOf,
  inPlaceIn,
  spellBatch,
  withoutBatch,
  withProgress,
  withSummary,
} from './batch.js';
import { chooseBatch, estimateBatches } from './choose.js';

/*
 * From one batch to the next, and the end of the way.
 */

/** The next batch, or the end of the way: `finalizing` forward, settled back. */
export function nextBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  now: number,
  by = 'controller',
): Outcome {
  const closed = withoutBatch(record);
  const choice = chooseBatch(closed, facts);
  const { progress } = inPlaceIn(closed);
  if (choice.kind === 'waits')
    return overMeanwhile(record, closed, choice.waits, now) ?? { waits: choice.waits };
  if (choice.kind === 'batch') return { moved: beginBatch(closed, choice.instances, facts, now, by) };
  if (record.state === 'rolling_back') {
    const settled = settleBatches(closed, facts, now);
    return 'moved' in settled ? settled : (overMeanwhile(record, closed, settled.waits, now) ?? settled);
  }
  const left_out = addLeftOut(progress.left_out, choice.left);
  const message = `every batch is done${spellLeft(left_out)}`;
  const step = nextIndex(record);
  const to = { state: 'finalizing', step, event: 'finalizing', message, by } as const;
  return { moved: enter(record, { ...to, strategy: withProgress(closed, { left_out }) }, now) };
}

/** The next batch has to wait; this one is over all the same, and whoever of it was left out is drained no more. */
function overMeanwhile(
  record: ReleaseRecord,
  closed: ReleaseRecord,
  waits: readonly string[],
  now: number,
): Outcome | null {
  if (inPlaceIn(record).progress.batch.length === 0) return null;
  const message = `${spellBatch(record, record.step)} is over; the next one waits for: ${waits.join('; ')}`;
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  return { moved: enter(closed, { state, phase: 'warming', event: 'batch_over', message }, now) };
}

/** The first batch: what was taken over, or one that is chosen now. */
export function firstBatch(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress } = inPlaceIn(record);
  if (progress.batch.length === 0) return nextBatch(record, facts, now);
  return { moved: beginBatch(record, progress.batch, facts, now, 'controller') };
}

/** `version` serves, the service's own record does not contradict it, and every gateway obeys: the release is over. */
export function settleBatches(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress } = inPlaceIn(record);
  const back = record.state === 'rolling_back';
  const version = goalOf(record);
  const idle = back && record.turned?.begun === false;
  const waits = idle ? [] : [...obedience(facts), ...readiness(version, facts)];
  if (waits.length > 0) return { waits };
  const shares = { [version]: 100 };
  // What is left over of a version that was found bad must get nothing after the release either.
  const bad = back && record.ending !== 'cancelled';
  const leftover = bad && facts.instances.some((one) => one.version !== version);
  const needed = !idle && (leftover || Object.keys(facts.intent_shares).length > 0);
  if (needed && !sameShares(facts.intent_shares, shares))
    return { waits: [`the shares of ${record.service} being written down`], write_shares: shares };
  const left = progress.left_out.filter(({ to }) => to === version);
  const state = back ? (record.ending ?? 'rolled_back') : 'succeeded';
  const serves = idle ? 'nothing was changed' : `${version} serves`;
  const message = `${serves}${back ? `; ${cause(record)}` : ''}${spellLeft(left)}`;
  return { moved: enter(record, { state, event: state, message }, now) };
}

function beginBatch(
  record: ReleaseRecord,
  batch: readonly BatchInstance[],
  facts: ReleaseFacts,
  now: number,
  by: string,
): ReleaseRecord {
  const { progress } = inPlaceIn(record);
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  const step = nextIndex(record);
  const ids = batch.map(({ id }) => id);
  const picked = new Set(ids);
  const strategy = withProgress(record, {
    batch,
    called: null,
    left_out: progress.left_out.filter(({ id }) => !picked.has(id)),
    batches: withSummary(progress, step, state === 'rolling_back' ? 'back' : 'forward', ids),
  });
  const ahead = estimateBatches({ ...record, state, strategy }, facts).length;
  const planned = state === 'rolling_back' ? progress.planned : step + 1 + ahead;
  const message = `${spellBatch(record, step)}: ${ids.join(', ')} to ${goalOf(record)}`;
  const to = { state, phase: 'applying', step, attempt: 1, event: 'batch_begun', message, by } as const;
  return enter(record, { ...to, strategy: withProgress({ ...record, strategy }, { planned }) }, now);
}

/** Batches are numbered through, on the way back too, so that no key comes twice. */
function nextIndex({ state, step }: ReleaseRecord): number {
  return hasBegun({ state }) ? step + 1 : step;
}

/** Why it goes back, as it was said when it began to. */
function cause(record: ReleaseRecord): string {
  return record.events.findLast(({ event }) => event === 'rolling_back')?.message ?? record.message;
}

function spellLeft(left: readonly LeftOut[]): string {
  if (left.length === 0) return '';
  return `; left out: ${left.map(({ id, reason }) => (reason === '' ? id : `${id} (${reason})`)).join(', ')}`;
}
