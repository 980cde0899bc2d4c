import type { IntentRecord, ServiceSpec } from '../model/intent.js';
import type { PlannedChange } from '../model/resources.js';
import type { Peer } from '../model/set.js';
import { compileService, effectiveSpec } from './compile.js';
import type { ServiceMembers } from './membership.js';
import { wishOf } from './record.js';

/** What a new record changes in the published set of a service, line by line. Empty = nothing. */
export function diffRecords(
  service: string,
  members: ServiceMembers,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
): readonly PlannedChange[] {
  const old = new Map(
    compileService(service, members, before, wall).set.peers.map((peer) => [peer.id, peer]),
  );
  const changes: PlannedChange[] = [];
  for (const peer of compileService(service, members, after, wall).set.peers) {
    const was = old.get(peer.id);
    if (was) changes.push(...diffPeer(service, was, peer));
  }
  // A wish for an instance that is not registered shows in no set, and is still a change.
  for (const id of new Set([...Object.keys(before.instances), ...Object.keys(after.instances)]))
    if (!members.has(id)) changes.push(...diffWish(service, id, before, after));
  return [...changes, ...diffSpec(service, before.spec, after.spec)];
}

function diffPeer(service: string, was: Peer, is: Peer): readonly PlannedChange[] {
  const fields = ['state', 'weight', 'down'] as const;
  return fields
    .filter((field) => was[field] !== is[field])
    .map((field) => ({ service, instance: is.id, field, from: String(was[field]), to: String(is[field]) }));
}

function diffWish(
  service: string,
  id: string,
  before: IntentRecord,
  after: IntentRecord,
): readonly PlannedChange[] {
  const say = (record: IntentRecord): string => wishOf(record.instances, id)?.state ?? 'none';
  const [from, to] = [say(before), say(after)];
  return from === to ? [] : [{ service, instance: id, field: 'intent', from, to }];
}

function diffSpec(service: string, before: ServiceSpec, after: ServiceSpec): readonly PlannedChange[] {
  const [old, now] = [effectiveSpec(before), effectiveSpec(after)];
  const fields = Object.keys(now) as (keyof typeof now)[];
  return fields
    .filter((field) => JSON.stringify(old[field]) !== JSON.stringify(now[field]))
    .map((field) => {
      const [from, to] = [JSON.stringify(old[field]), JSON.stringify(now[field])];
      return { service, instance: null, field, from, to };
    });
}
