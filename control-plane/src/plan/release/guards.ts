import type { ReleaseRecord, Shares } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { strategyOf } from './strategy/of.js';

/**
 * Why a release may not begin now; empty = it may. `inForce`: the shares of the release whose place it takes, or null.
 */
export function guardStart(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  inForce: Shares | null,
): readonly string[] {
  return strategyOf(record).guardStart(record, facts, inForce);
}

/** Why step `index` may not begin now; empty = it may. */
export function guardStep(record: ReleaseRecord, index: number, facts: ReleaseFacts): readonly string[] {
  return strategyOf(record).guardStep(record, index, facts);
}
