import type { ReleaseRecord, Shares } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { enumerate } from '../serving.js';
import { FAST_GATE } from './gates.js';
import { shareOf } from './shares.js';

/** How many instances of `version` are ready. */
export function readyOf(facts: ReleaseFacts, version: string): number {
  return shareOf(facts.ready, version);
}

/** True once every known gateway obeys the set of this very record. */
export function isObeyed(facts: ReleaseFacts): boolean {
  return facts.published && facts.behind.length === 0;
}

/** Ready instances that get requests under `shares`. */
export function serving(facts: ReleaseFacts, shares: Shares): number {
  return Object.keys(shares)
    .filter((version) => shareOf(shares, version) > 0)
    .reduce((sum, version) => sum + readyOf(facts, version), 0);
}

/** Why `shares` may not be asked for now; empty = they may. A guard speaks only against what would make it worse. */
export function guardShares(record: ReleaseRecord, facts: ReleaseFacts, shares: Shares): readonly string[] {
  return [...facts.blocked_by, ...lostCapacity(facts, record.shares, shares)];
}

/** What a change from the shares `before` to `shares` would cost too much of; empty = nothing. */
export function lostCapacity(facts: ReleaseFacts, before: Shares, shares: Shares): readonly string[] {
  const after = serving(facts, shares);
  const needed = Math.max(1, facts.min_available);
  if (after >= needed || after >= serving(facts, before)) return [];
  const [left, wanted] = [String(after), String(needed)];
  const unfit = facts.unfit.filter(({ version }) => shareOf(shares, version) > 0);
  return [
    `${left} ready instances would have a share, and min_available asks for ${wanted}${spellUnfit(unfit)}`,
  ];
}

/** Who does not count, to be put behind a sentence; empty = all do. */
export function spellUnfit(unfit: ReleaseFacts['unfit']): string {
  return unfit.length === 0 ? '' : `: ${enumerate(unfit.map(({ says }) => says))}`;
}

/** What the fast gate looks at: both sides of the last ten seconds. */
export const RECENT_MS = FAST_GATE.window_ms;

/** What is missing until every gateway obeys the record. */
export function obedience(facts: ReleaseFacts): readonly string[] {
  return facts.published ? facts.behind : ['its set being published'];
}

/** Somebody who can serve `version`. */
export function readiness(version: string, facts: ReleaseFacts): readonly string[] {
  if (readyOf(facts, version) > 0) return [];
  return [
    `a ready instance of ${version}${spellUnfit(facts.unfit.filter((one) => one.version === version))}`,
  ];
}

/** A target that has a share needs somebody to serve it. */
export function needed(record: ReleaseRecord, facts: ReleaseFacts): readonly string[] {
  return shareOf(record.shares, record.target) > 0 ? readiness(record.target, facts) : [];
}

/** Why a release fails whose target has had nobody to serve it for too long, or null. */
export function lateTarget({ target, stalled_ms, deadline_ms }: ReleaseRecord): string | null {
  if (stalled_ms < deadline_ms) return null;
  return `${target} had no ready instance for longer than its deadline`;
}
