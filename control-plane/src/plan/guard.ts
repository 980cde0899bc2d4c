import type { GuardVerdict } from '../model/problem.js';
import type { IntentRecord } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import { eligible } from '../model/set.js';
import { compileService } from './compile.js';
import type { ServiceMembers } from './membership.js';
import type { Witnesses } from './proof.js';
import { shareOf } from './release/shares.js';
import { enumerate, servesIn, unfitness } from './serving.js';
import { effectiveSpec } from './spec.js';

/** What a guard needs to know of a service. */
export interface Guarded {
  readonly service: string;
  readonly members: ServiceMembers;
  readonly witnesses: Witnesses;
  /** What the running release asks for; null = none runs. */
  readonly release: ReleaseTraffic | null;
  readonly wall: number;
}

/**
 * What a change of one service's record would do to its capacity. Empty when capacity does not shrink, or stays at
 * `min_available` or above. `last_ready_instance` speaks when nothing would be left, whatever `min_available` says.
 * Capacity is who serves (serving.ts). While nobody does, or nobody knows, it is who would by the set: where every instance is
 * found failing the gateways ignore health, and the last instance must not go either.
 * While a release runs, who serves is who has a share of it: that another version would be given the share of one that nobody
 * can serve is what rescues traffic, and no reason to take its last instance away.
 */
export function guardCapacity(
  guarded: Guarded,
  before: IntentRecord,
  after: IntentRecord,
): readonly GuardVerdict[] {
  const { service, members } = guarded;
  const serves = servesIn(guarded, service, members);
  const { wall, release } = guarded;
  const fell = compileService(service, members, before, wall, release).fallback !== null;
  const [had, left] = [eligibleIn(guarded, before, fell), eligibleIn(guarded, after, fell)];
  const needed = effectiveSpec(after.spec).min_available;
  const unfit = left.filter((id) => !serves(id));
  const verdict =
    verdictOn(service, had.filter(serves).length, left.length - unfit.length, needed) ??
    verdictOn(service, had.length, left.length, needed);
  if (!verdict) return [];
  return [{ ...verdict, message: verdict.message + spellUnfit(guarded, unfit) }];
}

function verdictOn(service: string, had: number, left: number, needed: number): GuardVerdict | null {
  if (left >= had || (left > 0 && left >= needed)) return null;
  if (left === 0)
    return {
      guard: 'last_ready_instance',
      service,
      would_leave: 0,
      needed: Math.max(1, needed),
      message: `${service} would have no instance left that takes requests`,
    };
  return {
    guard: 'min_available',
    service,
    would_leave: left,
    needed,
    message: `${service} would have ${String(left)} instance${left === 1 ? '' : 's'} left, and its min_available is ${String(needed)}`,
  };
}

/** Who is left and does not count, with the reason; a crowd is named by its first ones. */
function spellUnfit(guarded: Guarded, unfit: readonly string[]): string {
  const { service, members } = guarded;
  const sentences = unfit.map((id) => unfitness(guarded, service, id, members.get(id)) ?? '');
  return unfit.length === 0 ? '' : `: ${enumerate(sentences)}`;
}

/**
 * That the version before would serve instead is what rescues traffic, and no reason to take the last instance of the present one away; once it
 * does serve, it counts (`fell`).
 */
function eligibleIn(
  { service, members, wall, release }: Guarded,
  record: IntentRecord,
  fell: boolean,
): readonly string[] {
  const { peers } = compileService(service, members, record, wall, release).set;
  const shares = release?.shares ?? record.versions;
  const byShare = Object.keys(shares).length > 0 && !fell;
  return peers
    .filter((peer) => eligible(peer) && (!byShare || shareOf(shares, peer.version) > 0))
    .map(({ id }) => id);
}
