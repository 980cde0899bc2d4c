import type { BatchInstance, InPlaceProgress, ReleaseRecord } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { chooseBatch, closeBatch, isDrained, needInPlace } from './batch.js';
import { nextBatch } from './in_place.js';
import { enter, note } from './record.js';

/*
 * What people's verbs make of a release in place. Each is one move; `null` = it does not fit.
 */

/** The unfinished of this batch from the beginning, under a new key; in a soak: a fresh window. */
export function retryBatch(record: ReleaseRecord, message: string, now: number, by: string): ReleaseRecord {
  const { progress } = needInPlace(record);
  const attempt = record.attempt + 1;
  const to = { state: 'progressing', attempt, event: 'retried', message, by } as const;
  if (!progress.batch.some(isDrained)) {
    const phase = isJudging(record) ? 'soaking' : 'warming';
    return enter(record, { ...to, phase }, now);
  }
  // The new call is about those that are not back, and about nobody else.
  const batch = progress.batch.map((one) =>
    isDrained(one)
      ? { ...one, state: 'draining' as const, told: false, reason: '' }
      : { ...one, told: false },
  );
  const in_place = { ...progress, batch, called: null };
  return enter(record, { ...to, phase: 'applying', in_place }, now);
}

/**
 * promote: the soak is over. Guards that hold the next batch up are handed back; by `force` it is over all the same, and the next
 * batch waits for them, since nobody is drained against a guard.
 */
export function endSoak(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  { full, force }: { readonly full: boolean; readonly force: boolean },
  message: string,
  now: number,
  by: string,
): { readonly record: ReleaseRecord } | { readonly guards: readonly string[] } | null {
  const { progress } = needInPlace(record);
  const marked: ReleaseRecord = full ? { ...record, in_place: { ...progress, full: true } } : record;
  if (isJudging(record)) {
    const told = note(marked, { event: 'promoted', by, message }, now);
    const choice = chooseBatch({ ...told, in_place: closeBatch(told) }, facts);
    if (choice.kind === 'waits' && !force) return { guards: choice.waits };
    const outcome = nextBatch(told, facts, now, by);
    return 'moved' in outcome ? { record: outcome.moved } : { guards: outcome.waits };
  }
  if (!full) return null;
  // Nothing to end: from here on there will be no soak. One that a person paused goes on where it was.
  const { paused } = record;
  const to = { event: 'promoted', by, message };
  if (!paused) return { record: note(marked, to, now) };
  const phase = paused.phase ?? 'applying';
  return { record: enter(marked, { ...to, state: 'progressing', phase, keeps_window: true }, now) };
}

/** Whoever of this batch is not done is left out; a soak is over. */
export function skipBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  message: string,
  now: number,
  by: string,
): ReleaseRecord {
  const { progress } = needInPlace(record);
  const batch = progress.batch.map((one): BatchInstance =>
    one.state === 'done' || one.state === 'left_out' ? one : { ...one, state: 'left_out', reason: message },
  );
  const in_place: InPlaceProgress = { ...progress, batch };
  const told = note(record, { event: 'skipped', by, message }, now, { in_place });
  const outcome = nextBatch(told, facts, now, by);
  if ('moved' in outcome) return outcome.moved;
  // There was no batch to leave out: what the next one waits for holds.
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  return enter(told, { state, phase: 'warming', event: 'waiting', message, by }, now);
}

/** True while the batch is back and watched, or paused from there. */
function isJudging({ phase, paused }: ReleaseRecord): boolean {
  const at = phase ?? paused?.phase ?? null;
  return at === 'soaking' || at === 'analysing';
}
