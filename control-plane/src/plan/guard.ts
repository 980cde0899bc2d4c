import type { GuardVerdict } from '../model/problem.js';
import type { IntentRecord } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import { eligible } from '../model/set.js';
import { compileService } from './compile.js';
import type { ServiceMembers } from './membership.js';
import { shareOf } from './release/shares.js';
import { effectiveSpec } from './spec.js';

/**
 * What a change of one service's record would do to its capacity. Empty when capacity does not shrink, or stays at
 * `min_available` or above. `last_ready_instance` speaks when nothing would be left, whatever `min_available` says.
 * While a release runs, who serves is who has a share of it: that another version would be given the share of one that nobody
 * can serve is what rescues traffic, and no reason to take its last instance away.
 */
export function guardCapacity(
  service: string,
  members: ServiceMembers,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null = null,
): readonly GuardVerdict[] {
  const [had, left] = [before, after].map((record) => countServing(service, members, record, wall, release));
  if (had === undefined || left === undefined) return [];
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

function countServing(
  service: string,
  members: ServiceMembers,
  record: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null,
): number {
  const { peers } = compileService(service, members, record, wall, release).set;
  const shares = release?.shares ?? {};
  const byShare = Object.keys(shares).length > 0;
  return peers.filter((peer) => eligible(peer) && (!byShare || shareOf(shares, peer.version) > 0)).length;
}
