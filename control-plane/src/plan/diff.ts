import type { IntentRecord, ServiceSpec } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { PlannedChange } from '../model/resources.js';
import type { Peer } from '../model/set.js';
import { isObject } from '../model/shape.js';
import { compileService } from './compile.js';
import { freezeText } from './freeze.js';
import type { ServiceMembers } from './membership.js';
import { wishOf } from './record.js';
import { effectiveSpec } from './spec.js';

/** What a new record changes in the published set of a service, line by line. Empty = nothing. */
export function diffRecords(
  service: string,
  members: ServiceMembers,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null = null,
): readonly PlannedChange[] {
  const old = new Map(
    compileService(service, members, before, wall, release).set.peers.map((peer) => [peer.id, peer]),
  );
  const changes: PlannedChange[] = [];
  for (const peer of compileService(service, members, after, wall, release).set.peers) {
    const was = old.get(peer.id);
    if (was) changes.push(...diffPeer(service, was, peer));
  }
  // A wish for an instance that is not registered shows in no set, and is still a change.
  for (const id of new Set([...Object.keys(before.instances), ...Object.keys(after.instances)]))
    if (!members.has(id)) changes.push(...diffWish(service, id, before, after));
  const [from, to] = [freezeText(before.freeze), freezeText(after.freeze)];
  if (from !== to) changes.push({ service, instance: null, field: 'freeze', from, to });
  return [...changes, ...diffSpec(service, before.spec, after.spec)];
}

function diffPeer(service: string, was: Peer, is: Peer): readonly PlannedChange[] {
  const fields = ['state', 'weight', 'down', 'backup', 'keep_sticky'] as const;
  const say = (peer: Peer, field: (typeof fields)[number]): string => String(peer[field] ?? false);
  return fields
    .filter((field) => say(was, field) !== say(is, field))
    .map((field) => ({ service, instance: is.id, field, from: say(was, field), to: say(is, field) }));
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
  return diffValues('', effectiveSpec(before), effectiveSpec(after)).map((change) => {
    return { service, instance: null, ...change };
  });
}

/** One line per member that differs, at any depth: `health.check.path`. What appears or goes as a whole is one line. */
function diffValues(
  field: string,
  before: unknown,
  after: unknown,
): readonly Pick<PlannedChange, 'field' | 'from' | 'to'>[] {
  if (isObject(before) && isObject(after))
    return Object.keys(after).flatMap((name) =>
      diffValues(field === '' ? name : `${field}.${name}`, before[name], after[name]),
    );
  const [from, to] = [say(before), say(after)];
  return from === to ? [] : [{ field, from, to }];
}

function say(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
