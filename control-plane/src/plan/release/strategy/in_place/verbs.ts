import type { ReleaseRecord } from '../../../../model/release.js';
import type { BatchInstance } from '../../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import { enter, note } from '../../record.js';
import type { Act, GoOn, Obedience } from '../strategy.js';
import { inPlaceIn, isDrained, withoutBatch, withProgress } from './batch.js';
import { chooseBatch } from './choose.js';
import { nextBatch } from './next.js';

/*
 * What people's verbs make of a release in place. Each is one move.
 */

/** The unfinished of this batch from the beginning, under a new key; in a soak: a fresh window. */
export function retryBatch(record: ReleaseRecord, { by, message, now }: Act): ReleaseRecord {
  const { progress } = inPlaceIn(record);
  const attempt = record.attempt + 1;
  const to = { state: 'progressing', attempt, event: 'retried', message, by } as const;
  if (!progress.batch.some(isDrained)) {
    const phase = isWatched(record) ? 'soaking' : 'warming';
    return enter(record, { ...to, phase }, now);
  }
  // The new call is about those that are not back, and about nobody else.
  const batch = progress.batch.map((one) =>
    isDrained(one)
      ? { ...one, state: 'draining' as const, named: false, reason: '' }
      : { ...one, named: false },
  );
  const strategy = withProgress(record, { batch, called: null });
  return enter(record, { ...to, phase: 'applying', strategy }, now);
}

/**
 * promote: the soak is over. Guards that block the next batch refuse; by `force` it is over all the same, and the next
 * batch waits for them, since nobody is drained against a guard.
 */
export function promoteBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  { full, force }: GoOn,
  { by, message, now }: Act,
): Obedience {
  const { progress } = inPlaceIn(record);
  const forced = record.phase === 'warming' && progress.batch.length === 0;
  // Somebody else has ended this soak by force, and the next batch waits for its guards.
  if ((forced && !full) || (full && progress.full)) return 'same';
  const marked = full ? { ...record, strategy: withProgress(record, { full }) } : record;
  if (isWatched(record)) {
    const noted = note(marked, { event: 'promoted', by, message }, now);
    const choice = chooseBatch(withoutBatch(noted), facts);
    if (choice.kind === 'waits' && !force) return { guards: choice.waits };
    const outcome = nextBatch(noted, facts, now, by);
    return 'moved' in outcome ? outcome : { guards: outcome.waits };
  }
  if (!full) return 'unfit';
  // Nothing to end: from here on there will be no soak. One that a person paused goes on where it was.
  const { paused } = record;
  const to = { event: 'promoted', by, message };
  if (!paused) return { moved: note(marked, to, now) };
  const phase = paused.phase ?? 'applying';
  return { moved: enter(marked, { ...to, state: 'progressing', phase, keeps_window: true }, now) };
}

/** Whoever of this batch is not done is left out; a soak is over. */
export function skipBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  { by, message, now }: Act,
): ReleaseRecord {
  const { progress } = inPlaceIn(record);
  const batch = progress.batch.map((one): BatchInstance =>
    one.state === 'done' || one.state === 'left_out' ? one : { ...one, state: 'left_out', reason: message },
  );
  const strategy = withProgress(record, { batch });
  const noted = note(record, { event: 'skipped', by, message }, now, { strategy });
  const outcome = nextBatch(noted, facts, now, by);
  if ('moved' in outcome) return outcome.moved;
  // There was no batch to leave out: the next one still waits.
  const state = record.state === 'rolling_back' ? 'rolling_back' : 'progressing';
  return enter(noted, { state, phase: 'warming', event: 'waiting', message, by }, now);
}

/** True while the batch is back and watched, or paused from there. */
function isWatched({ phase, paused }: ReleaseRecord): boolean {
  const at = phase ?? paused?.phase ?? null;
  return at === 'soaking' || at === 'analysing';
}
