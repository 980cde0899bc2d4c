import type { ReleaseRecord, ReleaseState } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { obedience, readiness } from './facts.js';
import type { Outcome } from './outcome.js';
import { enter } from './record.js';
import { sameShares } from './shares.js';

/**
 * The end of a release by shares: `version` serves alone, the service's own record says so, and every gateway obeys. Of what never began there is
 * nothing to take back, and nothing to wait for.
 */
export function settleShares(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  version: string,
  { state, message }: { readonly state: ReleaseState; readonly message: string },
  now: number,
): Outcome {
  const shares = { [version]: 100 };
  const idle = record.turned?.begun === false;
  const waits = idle ? [] : [...obedience(facts), ...readiness(version, facts)];
  // Written down only once somebody can serve it: after the release nobody gives a dead version's share back.
  if (waits.length > 0) return { waits };
  if (!sameShares(facts.intent_shares, shares))
    return { waits: [`the shares of ${record.service} being written down`], write_shares: shares };
  return { moved: enter(record, { state, event: state, message }, now) };
}
