import type { ReleaseRecord, Shares } from '../../../../model/release.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import { spellAmount } from '../../amount.js';
import { readyOf } from '../../facts.js';
import { shareOf } from '../../shares.js';
import { weightedIn } from './steps.js';

/*
 * How many ready instances a version needs for a share, so that few are never given what many had.
 */

/**
 * Ready instances that the target needs before it has `share` percent: `min_ready` as a number, or percent of what the share comes to of the
 * instances that served when the release began (`capacity`), rounded up; at least one. Examples of 75 %: a share of 5 % of 3 → 1, of 50 % of 10 → 4, of 100 % of
 * 2 → 2, of 100 % of 10 → 8.
 */
export function neededReady(record: ReleaseRecord, share: number): number {
  const { min_ready } = record;
  if (share === 0) return 0;
  if ('count' in min_ready) return min_ready.count;
  const capacity = weightedIn(record).progress.capacity ?? 0;
  return Math.max(1, Math.ceil((capacity * share * min_ready.percent) / 10_000));
}

/** Why the target may not have its part of `shares` now; empty = it may, or it has that much already. */
export function guardReady(record: ReleaseRecord, facts: ReleaseFacts, shares: Shares): readonly string[] {
  const { target, min_ready } = record;
  const share = shareOf(shares, target);
  if (share <= shareOf(record.shares, target)) return [];
  const [ready, needed] = [readyOf(facts, target), neededReady(record, share)];
  if (ready >= needed) return [];
  if (needed === 1) return [`a ready instance of ${target}`];
  const of = 'count' in min_ready ? '' : ` of ${String(weightedIn(record).progress.capacity ?? 0)}`;
  return [
    `${String(needed)} ready instances of ${target} (there are ${String(ready)}): a share of ${String(share)} % needs them by min_ready ${spellAmount(min_ready)}${of}`,
  ];
}
