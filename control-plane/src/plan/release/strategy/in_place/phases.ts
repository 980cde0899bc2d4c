import { formatDuration } from '../../../../model/duration.js';
import type { Paused, ReleasePhase, ReleaseRecord } from '../../../../model/release.js';
import type { BatchInstance, BatchState, InPlaceProgress } from '../../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import { isObeyed, obedience } from '../../facts.js';
import type { Outcome } from '../../outcome.js';
import { enter, note } from '../../record.js';
import { goalOf, inPlaceIn, withProgress } from './batch.js';
import { servingIn } from './choose.js';
import { nextBatch } from './next.js';
import { rollBack } from './roll_back.js';
import { factOf, spellWaits, problemsIn } from './waits.js';

/*
 * A release in place from batch to batch, forward and back. At most one move a look, as everywhere. Time is counted in
 * `observed_ms` (and in `stalled_ms` while a warm instance is not well), never read from the clock.
 */

/** The phases from `applying` to `warming`; what follows a batch that is over. */
export function advanceBatch(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const given = leaveOutOfUse(record, facts, now) ?? giveBack(record, facts, now);
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

function toPhase(
  record: ReleaseRecord,
  phase: ReleasePhase,
  message: string,
  now: number,
  changes: Partial<InPlaceProgress> = {},
): ReleaseRecord {
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  // One time runs from the beginning of a batch to the proof of its drain.
  const keeps_window = phase === 'converging' || phase === 'draining';
  const strategy = withProgress(record, changes);
  return enter(record, { state, phase, event: phase, message, keeps_window, strategy }, now);
}

function drain(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const waits = spellWaits(record, facts);
  if (waits.length > 0) return lateDrain(record, waits, now) ?? { waits: withExits(record, waits) };
  const drained = progress.batch.filter(({ state }) => state === 'draining');
  if (drained.length === 0) return { moved: toPhase(record, 'warming', 'nobody of this batch is left', now) };
  const batch = progress.batch.map((one) =>
    one.state === 'draining' ? { ...one, state: 'upgrading' as const, asked: true, named: true } : one,
  );
  const by =
    'person' in strategy.upgrade ? 'a person' : 'webhook' in strategy.upgrade ? 'the webhook' : 'the command';
  const message = `${drained.map(({ id }) => id).join(', ')} drained; ${by} brings them to ${goalOf(record)}`;
  return { moved: toPhase(record, 'upgrading', message, now, { batch, called: null }) };
}

/** Nothing pauses a rollback: a drain that is late says what a person can do about it. */
function withExits(record: ReleaseRecord, waits: readonly string[]): readonly string[] {
  const strategy = inPlaceIn(record);
  const late = record.state === 'rolling_back' && record.observed_ms >= strategy.drain_timeout_ms;
  const exits =
    'or a person: ebbgate release skip leaves the batch out, ebbgate gateway forget a gateway that is gone';
  return late ? [...waits, exits] : waits;
}

function lateDrain(record: ReleaseRecord, waits: readonly string[], now: number): Outcome | null {
  const strategy = inPlaceIn(record);
  if (record.state === 'rolling_back' || record.observed_ms < strategy.drain_timeout_ms) return null;
  const message = `not drained within ${formatDuration(strategy.drain_timeout_ms)}: ${waits.join('; ')}`;
  const { phase } = record;
  const paused: Paused = { cause: 'drain', by: 'controller', message, state: 'progressing', phase };
  return { moved: enter(record, { state: 'paused', paused, event: 'paused', message }, now) };
}

function upgrade(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  if (progress.called === null && facts.call !== null) {
    const { outcome, reason } = facts.call;
    const message = `the upgrade was ${outcome}${reason === '' ? '' : `: ${reason}`}`;
    return { moved: withBatch(record, progress.batch, outcome, message, now, { called: facts.call }) };
  }
  const back = progress.batch.filter((one) => isBack(record, one, facts));
  if (back.length > 0) return { moved: mark(record, back, 'warming', 'upgraded', () => '', now) };
  const open = progress.batch.filter(({ state }) => state === 'upgrading');
  if (open.length === 0)
    return tooManyFailed(record, now) ?? { moved: toPhase(record, 'warming', 'all are back', now) };
  const why = lateUpgrade(record, strategy.upgrade_timeout_ms);
  if (why !== null) return { moved: mark(record, open, 'failed', 'instance_failed', () => why, now) };
  const call =
    'person' in strategy.upgrade || progress.called ? [] : ['the answer to the call of the upgrade'];
  return { waits: [...call, ...spellWaits(record, facts)] };
}

/** Why whoever is still awaited has failed, or null. */
function lateUpgrade(record: ReleaseRecord, timeoutMs: number): string | null {
  const { called } = inPlaceIn(record).progress;
  if (called?.outcome === 'refused') return `the upgrade was refused: ${called.reason}`;
  if (record.observed_ms < timeoutMs) return null;
  return `not back with ${goalOf(record)} within ${formatDuration(timeoutMs)}`;
}

/**
 * The proof of an upgrade: its registration. One that had the version before it was asked says nothing by that, until whoever
 * was asked has taken the call.
 */
function isBack(record: ReleaseRecord, one: BatchInstance, facts: ReleaseFacts): boolean {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const fact = factOf(facts, one.id);
  const goal = goalOf(record);
  if (one.state !== 'upgrading' || fact?.presence !== 'present' || !fact.ready || fact.version !== goal)
    return false;
  return one.from !== goal || 'person' in strategy.upgrade || progress.called?.outcome === 'accepted';
}

function warm(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const warming = progress.batch.filter(({ state }) => state === 'warming');
  const bad = tooManyFailed(record, now);
  if (bad) return bad;
  if (warming.length === 0) return afterBatch(record, facts, now);
  const problems = problemsIn(record, facts);
  if (problems.size === 0 && isObeyed(facts) && record.observed_ms >= facts.slow_start_ms)
    return { moved: mark(record, warming, 'done', 'batch_warm', () => '', now) };
  if (problems.size > 0 && record.stalled_ms >= strategy.upgrade_timeout_ms) {
    const failed = warming.filter(({ id }) => problems.has(id));
    const why = ({ id }: BatchInstance): string => `upgraded, but ${(problems.get(id) ?? []).join(', ')}`;
    return { moved: mark(record, failed, 'failed', 'instance_failed', why, now) };
  }
  const left = Math.ceil((facts.slow_start_ms - record.observed_ms) / 1_000);
  const slow = left > 0 ? [`${String(left)} s more of slow start`] : [];
  return { waits: [...obedience(facts), ...spellWaits(record, facts), ...slow] };
}

/** All of the batch are done, failed or left out. */
function afterBatch(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const done = progress.batch.some(({ state }) => state === 'done');
  const soaks = record.state === 'progressing' && strategy.soak_ms > 0 && !progress.full && done;
  if (soaks) return { moved: toPhase(record, 'soaking', `soaking ${formatDuration(strategy.soak_ms)}`, now) };
  return nextBatch(record, facts, now);
}

/** Too many failed: forward it goes back, at once. */
function tooManyFailed(record: ReleaseRecord, now: number): Outcome | null {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const failed = progress.batch.filter(({ state }) => state === 'failed');
  if (record.state === 'rolling_back' || failed.length <= strategy.max_failed) return null;
  const message = `failed: ${failed.map(({ id, reason }) => `${id} (${reason})`).join(', ')}`;
  return { moved: rollBack(record, 'rolled_back', { by: 'controller', message, now }) };
}

/** A person's verb on an instance wins: the batch goes on without it. */
function leaveOutOfUse(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord | null {
  const { progress } = inPlaceIn(record);
  const out = progress.batch.filter(
    ({ id, state }) => !['done', 'failed', 'left_out'].includes(state) && factOf(facts, id)?.out_of_use,
  );
  if (out.length === 0) return null;
  return mark(record, out, 'left_out', 'left_out', ({ id }) => factOf(facts, id)?.out_of_use ?? '', now);
}

/**
 * Everybody else is gone while this batch is drained: whoever of it was not handed over yet is given back. A pause, and a start that
 * has taken a batch over, go on without them.
 */
export function giveBack(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord | null {
  const phase = record.phase ?? record.paused?.phase ?? null;
  const early = phase === null || phase === 'applying' || phase === 'converging' || phase === 'draining';
  if (!early || facts.instances.some(servingIn(record, facts))) return null;
  const { progress } = inPlaceIn(record);
  const mine = progress.batch.filter(
    ({ id, state, asked }) => state === 'draining' && !asked && factOf(facts, id)?.able === true,
  );
  if (mine.length === 0) return null;
  const message = `${mine.map(({ id }) => id).join(', ')} given back: nobody else takes requests`;
  const batch = progress.batch.filter((one) => !mine.includes(one));
  if (record.phase === null) return withBatch(record, batch, 'given_back', message, now);
  return toPhase(record, 'warming', message, now, { batch });
}

function mark(
  record: ReleaseRecord,
  which: readonly BatchInstance[],
  state: BatchState,
  event: string,
  why: (one: BatchInstance) => string,
  now: number,
): ReleaseRecord {
  const { progress } = inPlaceIn(record);
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
  const strategy = withProgress(record, { ...changes, batch });
  return note(record, { event, by: 'controller', message }, now, { strategy });
}
