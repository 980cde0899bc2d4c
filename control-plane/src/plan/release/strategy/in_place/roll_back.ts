import type { ReleaseEnding, ReleaseRecord } from '../../../../model/release.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import type { Outcome } from '../../outcome.js';
import { enter, note, turnedAt } from '../../record.js';
import type { Act } from '../strategy.js';
import { carry, closeBatch, inPlaceIn, withProgress } from './batch.js';

/*
 * The way back: turning round, and barring a bad version.
 */

/** Turns round. What was upgraded is brought back batch by batch; whoever was handed over and is not proven comes first. */
export function rollBack(
  record: ReleaseRecord,
  ending: ReleaseEnding,
  { by, message, now }: Act,
): ReleaseRecord {
  const { progress } = inPlaceIn(record);
  // Stragglers that do not make it say little of the version that serves: nothing is taken back.
  const batch = record.stable === record.target ? [] : carry(progress, 'asked');
  const carried = new Set(batch.map(({ id }) => id));
  const left_out = closeBatch(record).left_out.filter(({ id }) => !carried.has(id));
  const strategy = withProgress(record, { batch, called: null, left_out });
  const to = { state: 'rolling_back', ending, turned: turnedAt(record), event: 'rolling_back' } as const;
  return enter(record, { ...to, message, by, strategy }, now);
}

/** A bad version gets nothing as soon as enough others can serve; null = not now. */
export function bar(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome | null {
  if (record.ending === 'cancelled' || record.turned?.begun === false) return null;
  if (Object.keys(record.shares).length > 0) return null;
  const drained = new Set(inPlaceIn(record).progress.batch.map(({ id }) => id));
  const stable = facts.instances.filter(
    (one) => one.able && one.version === record.stable && !drained.has(one.id),
  );
  if (stable.length < Math.max(1, facts.min_available)) return null;
  const shares = { [record.stable]: 100 };
  const message = `${record.target} gets nothing any more: ${record.stable} serves`;
  return { moved: note(record, { event: 'barred', by: 'controller', message }, now, { shares }) };
}
