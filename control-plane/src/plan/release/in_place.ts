import { formatDuration } from '../../model/duration.js';
import type {
  BatchInstance,
  BatchState,
  InPlaceProgress,
  LeftOut,
  Paused,
  ReleasePhase,
  ReleaseRecord,
} from '../../model/release.js';
import type { InstanceFacts, ReleaseFacts } from '../../model/release_facts.js';
import {
  addLeftOut,
  chooseBatch,
  closeBatch,
  estimateBatches,
  goalOf,
  needInPlace,
  servingIn,
  spellBatch,
  withSummary,
} from './batch.js';
import { isObeyed, obedience, readiness, readyOf } from './facts.js';
import type { Outcome } from './outcome.js';
import { enter, note } from './record.js';
import { sameShares } from './shares.js';
import { goBack } from './steps.js';

/*
 * A release in place from batch to batch, forward and back. At most one move a look, as everywhere. Time is counted in
 * `observed_ms` (and in `stalled_ms` while a warm instance is not well), never read from the clock.
 */

type Settled = (record: ReleaseRecord, facts: ReleaseFacts, now: number) => Outcome;

/** The phases from `applying` to `warming`; what follows a batch that is over. */
export function progressBatch(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const given = giveUpTaken(record, facts, now) ?? retreat(record, facts, now);
  if (given) return { moved: given };
  switch (record.phase) {
    case 'applying':
      if (!facts.published) return { waits: obedience(facts) };
      return { moved: toPhase(record, 'converging', 'published; waiting for the gateways', now) };
    case 'converging':
      if (isObeyed(facts)) return { moved: toPhase(record, 'draining', 'every known gateway obeys', now) };
      return lateDrain(record, obedience(facts), now) ?? { waits: withExits(record, obedience(facts)) };
    case 'draining':
      return drain(record, facts, now);
    case 'upgrading':
      return upgrade(record, facts, now);
    case 'warming':
      return warm(record, facts, now);
    default:
      throw new Error(`a batch has no phase ${String(record.phase)}`);
  }
}

/** The next batch, or the end of the way: `finalizing` forward, settled back. */
export function nextBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  now: number,
  by = 'controller',
): Outcome {
  const closed: ReleaseRecord = { ...record, in_place: closeBatch(record) };
  const choice = chooseBatch(closed, facts);
  const { progress } = needInPlace(closed);
  if (choice.kind === 'waits')
    return overMeanwhile(record, closed, choice.waits, now) ?? { waits: choice.waits };
  if (choice.kind === 'batch') return { moved: beginBatch(closed, choice.instances, facts, now, by) };
  if (record.state === 'rolling_back') {
    const settled = settleInPlace(closed, facts, now);
    return 'moved' in settled ? settled : (overMeanwhile(record, closed, settled.waits, now) ?? settled);
  }
  const left_out = addLeftOut(progress.left_out, choice.left);
  const message = `every batch is done${spellLeft(left_out)}`;
  const step = nextIndex(record);
  const to = { state: 'finalizing', step, event: 'finalizing', message, by } as const;
  return { moved: enter(record, { ...to, in_place: { ...progress, left_out } }, now) };
}

/** The next batch has to wait; this one is over all the same, and whoever of it was left out is drained no more. */
function overMeanwhile(
  record: ReleaseRecord,
  closed: ReleaseRecord,
  waits: readonly string[],
  now: number,
): Outcome | null {
  if (needInPlace(record).progress.batch.length === 0) return null;
  const message = `${spellBatch(record, record.step)} is over; the next one waits for: ${waits.join('; ')}`;
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  return { moved: enter(closed, { state, phase: 'warming', event: 'batch_over', message }, now) };
}

/** The first batch: what was taken over, or one that is chosen now. */
export function firstBatch(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress } = needInPlace(record);
  if (progress.batch.length === 0) return nextBatch(record, facts, now);
  return { moved: beginBatch(record, progress.batch, facts, now, 'controller') };
}

/** rolling_back: a bad version gets nothing as soon as others can serve; then batch by batch. */
export function goBackInPlace(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  return (
    bar(record, facts, now) ??
    (record.phase === null ? firstBatch(record, facts, now) : progressBatch(record, facts, now))
  );
}

/** `version` serves, the service's own record does not contradict it, and every gateway obeys: the release is over. */
export function settleInPlace(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress } = needInPlace(record);
  const back = record.state === 'rolling_back';
  const version = goalOf(record);
  const idle = back && record.turned?.begun === false;
  const waits = idle ? [] : [...obedience(facts), ...readiness(version, facts)];
  if (waits.length > 0) return { waits };
  const shares = { [version]: 100 };
  // What is left over of a version that was judged bad must get nothing after the release either.
  const bad = back && record.ending !== 'cancelled';
  const leftover = bad && facts.instances.some((one) => one.version !== version);
  const needed = !idle && (leftover || Object.keys(facts.decided).length > 0);
  if (needed && !sameShares(facts.decided, shares))
    return { waits: [`the shares of ${record.service} being written down`], decide: shares };
  const left = progress.left_out.filter(({ to }) => to === version);
  const state = back ? (record.ending ?? 'rolled_back') : 'succeeded';
  const serves = idle ? 'nothing was changed' : `${version} serves`;
  const message = `${serves}${back ? `; ${cause(record)}` : ''}${spellLeft(left)}`;
  return { moved: enter(record, { state, event: state, message, in_place: progress }, now) };
}

/** Whether this moment is observed in the record's phase, and whether it is one of trouble. */
export function watchInPlace(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): { readonly observed: boolean; readonly stalled: boolean } {
  if (record.state !== 'progressing' && record.state !== 'rolling_back')
    return { observed: false, stalled: false };
  if (record.phase === 'warming') {
    // A gateway that is silent says nothing against an instance.
    const stalled = troubled(record, facts).size > 0;
    return { observed: isObeyed(facts) && !stalled, stalled };
  }
  if (record.phase === 'soaking') {
    const stalled = readyOf(facts, record.target) === 0;
    return { observed: isObeyed(facts) && !stalled, stalled };
  }
  return { observed: record.phase !== null && record.phase !== 'analysing', stalled: false };
}

/** What each instance of the present batch waits for; absent = nothing. */
export function waitsByInstance(
  record: ReleaseRecord,
  facts: Pick<ReleaseFacts, 'instances'>,
): ReadonlyMap<string, readonly string[]> {
  const { progress, strategy } = needInPlace(record);
  const ill = troubled(record, facts);
  const goal = goalOf(record);
  const waits = new Map<string, readonly string[]>();
  for (const { id, state } of progress.batch) {
    const fact = factOf(facts, id);
    if (state === 'draining' && fact && fact.presence !== 'gone' && !fact.drained)
      waits.set(id, fact.undrained);
    if (state === 'upgrading') {
      const who = 'person' in strategy.upgrade ? ', by a person' : '';
      waits.set(id, [`to be registered with ${goal} and ready${who}`]);
    }
    const trouble = ill.get(id);
    if (trouble !== undefined) waits.set(id, trouble);
  }
  return waits;
}

function beginBatch(
  record: ReleaseRecord,
  batch: readonly BatchInstance[],
  facts: ReleaseFacts,
  now: number,
  by: string,
): ReleaseRecord {
  const { progress } = needInPlace(record);
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  const step = nextIndex(record);
  const ids = batch.map(({ id }) => id);
  const picked = new Set(ids);
  const in_place = {
    ...progress,
    batch,
    called: null,
    left_out: progress.left_out.filter(({ id }) => !picked.has(id)),
    batches: withSummary(progress, step, state === 'rolling_back' ? 'back' : 'forward', ids),
  };
  const ahead = estimateBatches({ ...record, state, in_place }, facts).length;
  const planned = state === 'rolling_back' ? progress.planned : step + 1 + ahead;
  const message = `${spellBatch(record, step)}: ${ids.join(', ')} to ${goalOf(record)}`;
  const to = { state, phase: 'applying', step, attempt: 1, event: 'batch_begun', message, by } as const;
  return enter(record, { ...to, in_place: { ...in_place, planned } }, now);
}

/** Batches are numbered through, on the way back too, so that no key comes twice. */
function nextIndex({ state, step }: ReleaseRecord): number {
  return state === 'pending' || state === 'preparing' ? step : step + 1;
}

function toPhase(
  record: ReleaseRecord,
  phase: ReleasePhase,
  message: string,
  now: number,
  changes: Partial<InPlaceProgress> = {},
): ReleaseRecord {
  const { progress } = needInPlace(record);
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  // One time runs from the beginning of a batch to the proof of its drain.
  const keeps_window = phase === 'converging' || phase === 'draining';
  const in_place = { ...progress, ...changes };
  return enter(record, { state, phase, event: phase, message, keeps_window, in_place }, now);
}

function drain(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress, strategy } = needInPlace(record);
  const waits = [...waitsByInstance(record, facts)].flatMap(([id, reasons]) =>
    reasons.map((reason) => `${id}: ${reason}`),
  );
  if (waits.length > 0) return lateDrain(record, waits, now) ?? { waits: withExits(record, waits) };
  const drained = progress.batch.filter(({ state }) => state === 'draining');
  if (drained.length === 0) return { moved: toPhase(record, 'warming', 'nobody of this batch is left', now) };
  const batch = progress.batch.map((one) =>
    one.state === 'draining' ? { ...one, state: 'upgrading' as const, asked: true, told: true } : one,
  );
  const by =
    'person' in strategy.upgrade ? 'a person' : 'webhook' in strategy.upgrade ? 'the webhook' : 'the command';
  const message = `${drained.map(({ id }) => id).join(', ')} drained; ${by} brings them to ${goalOf(record)}`;
  return { moved: toPhase(record, 'upgrading', message, now, { batch, called: null }) };
}

/** Nothing pauses a rollback: a drain that is late says what a person can do about it. */
function withExits(record: ReleaseRecord, waits: readonly string[]): readonly string[] {
  const { strategy } = needInPlace(record);
  const late = record.state === 'rolling_back' && record.observed_ms >= strategy.drain_timeout_ms;
  const exits =
    'or a person: ebbgate release skip leaves the batch out, ebbgate gateway forget a gateway that is gone';
  return late ? [...waits, exits] : waits;
}

function lateDrain(record: ReleaseRecord, waits: readonly string[], now: number): Outcome | null {
  const { strategy } = needInPlace(record);
  if (record.state === 'rolling_back' || record.observed_ms < strategy.drain_timeout_ms) return null;
  const message = `not drained within ${formatDuration(strategy.drain_timeout_ms)}: ${waits.join('; ')}`;
  const { phase } = record;
  const paused: Paused = { cause: 'drain', by: 'controller', message, state: 'progressing', phase };
  return { moved: enter(record, { state: 'paused', paused, event: 'paused', message }, now) };
}

function upgrade(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress, strategy } = needInPlace(record);
  if (progress.called === null && facts.call !== null) {
    const { outcome, reason } = facts.call;
    const message = `the upgrade was ${outcome}${reason === '' ? '' : `: ${reason}`}`;
    return { moved: withBatch(record, progress.batch, outcome, message, now, { called: facts.call }) };
  }
  const back = progress.batch.filter((one) => isBack(record, one, facts));
  if (back.length > 0) return { moved: mark(record, back, 'warming', 'upgraded', () => '', now) };
  const open = progress.batch.filter(({ state }) => state === 'upgrading');
  if (open.length === 0)
    return judged(record, now) ?? { moved: toPhase(record, 'warming', 'all are back', now) };
  const why = lateUpgrade(record, strategy.upgrade_timeout_ms);
  if (why !== null) return { moved: mark(record, open, 'failed', 'instance_failed', () => why, now) };
  const call =
    'person' in strategy.upgrade || progress.called ? [] : ['the answer to the call of the upgrade'];
  return { waits: [...call, ...spellWaits(record, facts)] };
}

/** Why whoever is still awaited has failed, or null. */
function lateUpgrade(record: ReleaseRecord, timeoutMs: number): string | null {
  const { called } = needInPlace(record).progress;
  if (called?.outcome === 'refused') return `the upgrade was refused: ${called.reason}`;
  if (record.observed_ms < timeoutMs) return null;
  return `not back with ${goalOf(record)} within ${formatDuration(timeoutMs)}`;
}

/**
 * The proof of an upgrade: its registration. One that had the version before it was asked says nothing by that, until whoever
 * was asked has taken the call.
 */
function isBack(record: ReleaseRecord, one: BatchInstance, facts: ReleaseFacts): boolean {
  const { progress, strategy } = needInPlace(record);
  const fact = factOf(facts, one.id);
  const goal = goalOf(record);
  if (one.state !== 'upgrading' || fact?.presence !== 'present' || !fact.ready || fact.version !== goal)
    return false;
  return one.from !== goal || 'person' in strategy.upgrade || progress.called?.outcome === 'accepted';
}

function warm(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const { progress, strategy } = needInPlace(record);
  const warming = progress.batch.filter(({ state }) => state === 'warming');
  const bad = judged(record, now);
  if (bad) return bad;
  if (warming.length === 0) return afterBatch(record, facts, now);
  const ill = troubled(record, facts);
  if (ill.size === 0 && isObeyed(facts) && record.observed_ms >= facts.slow_start_ms)
    return { moved: mark(record, warming, 'done', 'batch_warm', () => '', now) };
  if (ill.size > 0 && record.stalled_ms >= strategy.upgrade_timeout_ms) {
    const failed = warming.filter(({ id }) => ill.has(id));
    const why = ({ id }: BatchInstance): string => `upgraded, but ${(ill.get(id) ?? []).join(', ')}`;
    return { moved: mark(record, failed, 'failed', 'instance_failed', why, now) };
  }
  const left = Math.ceil((facts.slow_start_ms - record.observed_ms) / 1_000);
  const slow = left > 0 ? [`${String(left)} s more of slow start`] : [];
  return { waits: [...obedience(facts), ...spellWaits(record, facts), ...slow] };
}

/** All of the batch are done, failed or left out. */
const afterBatch: Settled = (record, facts, now) => {
  const { progress, strategy } = needInPlace(record);
  const done = progress.batch.some(({ state }) => state === 'done');
  const soaks = record.state === 'progressing' && strategy.soak_ms > 0 && !progress.full && done;
  if (soaks) return { moved: toPhase(record, 'soaking', `soaking ${formatDuration(strategy.soak_ms)}`, now) };
  return nextBatch(record, facts, now);
};

/** Too many failed: forward it goes back, at once. */
function judged(record: ReleaseRecord, now: number): Outcome | null {
  const { progress, strategy } = needInPlace(record);
  const failed = progress.batch.filter(({ state }) => state === 'failed');
  if (record.state === 'rolling_back' || failed.length <= strategy.max_failed) return null;
  const message = `failed: ${failed.map(({ id, reason }) => `${id} (${reason})`).join(', ')}`;
  return { moved: goBack(record, 'rolled_back', message, now) };
}

/** A person's verb on an instance wins: the batch goes on without it. */
function giveUpTaken(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord | null {
  const { progress } = needInPlace(record);
  const taken = progress.batch.filter(
    ({ id, state }) => !['done', 'failed', 'left_out'].includes(state) && factOf(facts, id)?.taken,
  );
  if (taken.length === 0) return null;
  return mark(record, taken, 'left_out', 'left_out', ({ id }) => factOf(facts, id)?.taken ?? '', now);
}

/**
 * Everybody else is gone while this batch is drained: whoever of it was not handed over yet is given back. A pause, and a start that
 * has taken a batch over, go on without them.
 */
export function retreat(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord | null {
  const phase = record.phase ?? record.paused?.phase ?? null;
  const early = phase === null || phase === 'applying' || phase === 'converging' || phase === 'draining';
  if (!early || facts.instances.some(servingIn(record, facts))) return null;
  const { progress } = needInPlace(record);
  const mine = progress.batch.filter(
    ({ id, state, asked }) => state === 'draining' && !asked && factOf(facts, id)?.able === true,
  );
  if (mine.length === 0) return null;
  const message = `${mine.map(({ id }) => id).join(', ')} given back: nobody else takes requests`;
  const batch = progress.batch.filter((one) => !mine.includes(one));
  if (record.phase === null) return withBatch(record, batch, 'given_back', message, now);
  return toPhase(record, 'warming', message, now, { batch });
}

/** Instances that serve again and are not well, and in what way. */
function troubled(
  record: ReleaseRecord,
  facts: Pick<ReleaseFacts, 'instances'>,
): ReadonlyMap<string, readonly string[]> {
  const goal = goalOf(record);
  const ill = new Map<string, readonly string[]>();
  for (const { id, state } of needInPlace(record).progress.batch) {
    if (state !== 'warming') continue;
    const fact = factOf(facts, id);
    if (fact?.presence !== 'present') ill.set(id, ['its registration is missing']);
    else if (fact.version !== goal) ill.set(id, [`it is registered with ${fact.version}`]);
    else if (!fact.ready) ill.set(id, ['it is not ready']);
    else if (fact.ill.length > 0) ill.set(id, fact.ill);
  }
  return ill;
}

function spellWaits(record: ReleaseRecord, facts: ReleaseFacts): readonly string[] {
  return [...waitsByInstance(record, facts)].flatMap(([id, reasons]) =>
    reasons.map((reason) => `${id}: ${reason}`),
  );
}

function mark(
  record: ReleaseRecord,
  which: readonly BatchInstance[],
  state: BatchState,
  event: string,
  why: (one: BatchInstance) => string,
  now: number,
): ReleaseRecord {
  const { progress } = needInPlace(record);
  const ids = new Set(which.map(({ id }) => id));
  // Whoever is back has been proven: it is no longer in any state.
  const proven = state === 'warming' ? { asked: false } : {};
  const batch = progress.batch.map((one) =>
    ids.has(one.id) ? { ...one, ...proven, state, reason: why(one) } : one,
  );
  const reasons = [...new Set(which.map(why).filter((reason) => reason !== ''))];
  const message = [[...ids].join(', '), ...reasons].join(': ');
  return withBatch(record, batch, event, message, now);
}

function withBatch(
  record: ReleaseRecord,
  batch: readonly BatchInstance[],
  event: string,
  message: string,
  now: number,
  changes: Partial<InPlaceProgress> = {},
): ReleaseRecord {
  const in_place = { ...needInPlace(record).progress, ...changes, batch };
  return note(record, { event, by: 'controller', message }, now, { in_place });
}

function bar(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome | null {
  if (record.ending === 'cancelled' || record.turned?.begun === false) return null;
  if (Object.keys(record.shares).length > 0) return null;
  const drained = new Set(needInPlace(record).progress.batch.map(({ id }) => id));
  const stable = facts.instances.filter(
    (one) => one.able && one.version === record.stable && !drained.has(one.id),
  );
  if (stable.length < Math.max(1, facts.min_available)) return null;
  const shares = { [record.stable]: 100 };
  const message = `${record.target} gets nothing any more: ${record.stable} serves`;
  return { moved: note(record, { event: 'barred', by: 'controller', message }, now, { shares }) };
}

const indexes = new WeakMap<readonly InstanceFacts[], ReadonlyMap<string, InstanceFacts>>();

function factOf({ instances }: Pick<ReleaseFacts, 'instances'>, id: string): InstanceFacts | undefined {
  const index = indexes.get(instances) ?? new Map(instances.map((one) => [one.id, one]));
  indexes.set(instances, index);
  return index.get(id);
}

/** Why it goes back, as it was said when it began to. */
function cause(record: ReleaseRecord): string {
  return record.events.findLast(({ event }) => event === 'rolling_back')?.message ?? record.message;
}

function spellLeft(left: readonly LeftOut[]): string {
  if (left.length === 0) return '';
  return `; left out: ${left.map(({ id, reason }) => (reason === '' ? id : `${id} (${reason})`)).join(', ')}`;
}
