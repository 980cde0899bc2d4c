import type { ReleaseRecord, Shares } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { chooseBatch } from './batch.js';
import { guardShares, lostCapacity } from './facts.js';
import { nextBatch } from './in_place.js';
import type { Outcome } from './outcome.js';
import { guardReady } from './min_ready.js';
import { guardWeights } from './start_in_place.js';
import { beginStep, sharesAt } from './steps.js';

/** Begins a step, or the next batch, if no guard speaks against it. */
export function begin(record: ReleaseRecord, index: number, facts: ReleaseFacts, now: number): Outcome {
  if (record.in_place) return nextBatch(record, facts, now);
  const guards = guardStep(record, index, facts);
  return guards.length > 0 ? { waits: guards } : { moved: beginStep(record, index, now) };
}

/**
 * Why a release may not begin now. A weighted one gives its stable version everything at once, one in place gives everybody what weights come to.
 * `inForce`: the shares of the release whose place it takes, or null.
 */
export function guardStart(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  inForce: Shares | null,
): readonly string[] {
  if (record.in_place) return guardWeights(record, inForce ?? facts.decided, facts.ready);
  if (inForce) return [];
  const byWeights = Object.keys(facts.decided).length === 0;
  return lostCapacity(facts, byWeights ? facts.ready : facts.decided, record.base);
}

/** Why step `index` may not begin now; empty = it may. */
export function guardStep(record: ReleaseRecord, index: number, facts: ReleaseFacts): readonly string[] {
  if (record.in_place) {
    const choice = chooseBatch(record, facts);
    return choice.kind === 'waits' ? choice.waits : [];
  }
  const shares = sharesAt(record, index);
  return [...guardShares(record, facts, shares), ...guardReady(record, facts, shares)];
}
