import type { GuardVerdict } from '../model/problem.js';
import type { IntentRecord } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import { compileService, countEligible } from './compile.js';
import type { ServiceMembers } from './membership.js';
import { effectiveSpec } from './spec.js';

/**
 * What a change of one service's record would do to its capacity. Empty when capacity does not shrink, or stays at
 * `min_available` or above. `last_ready_instance` speaks when nothing would be left, whatever `min_available` says.
 */
export function guardCapacity(
  service: string,
  members: ServiceMembers,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null = null,
): readonly GuardVerdict[] {
  const had = countEligible(compileService(service, members, before, wall, release).set);
  const left = countEligible(compileService(service, members, after, wall, release).set);
  if (left >= had) return [];
  const needed = effectiveSpec(after.spec).min_available;
  if (left === 0)
    return [
      {
        guard: 'last_ready_instance',
        service,
        would_leave: 0,
        needed: Math.max(1, needed),
        message: `${service} would have no instance left that takes requests`,
      },
    ];
  if (left >= needed) return [];
  return [
    {
      guard: 'min_available',
      service,
      would_leave: left,
      needed,
      message: `${service} would have ${String(left)} instances left, and its min_available is ${String(needed)}`,
    },
  ];
}
