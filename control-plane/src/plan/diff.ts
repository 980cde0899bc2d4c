import type { IntentRecord, ServiceSpec } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { PlannedChange } from '../model/resources.js';
import type { Peer } from '../model/set.js';
import { isObject } from '../model/shape.js';
import { compileService } from './compile.js';
import { freezeText } from './freeze.js';
import type { ServiceMembers } from './membership.js';
import { spellAuthor, spellLayers, tellLayers } from './layers.js';
import { inForce, wishOf } from './record.js';
import { effectiveSpec } from './spec.js';

/**
 * What a new record changes in the published set of a service, line by line, and what of others' decisions it replaces, takes
 * back or covers. `by` = who asks: what somebody takes back of his own needs no line of its own. Empty = nothing.
 */
export function diffRecords(
  service: string,
  members: ServiceMembers,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null = null,
  by: string | null = null,
): readonly PlannedChange[] {
  const old = new Map(
    compileService(service, members, before, wall, release).set.peers.map((peer) => [peer.id, peer]),
  );
  const changes: PlannedChange[] = [];
  for (const peer of compileService(service, members, after, wall, release).set.peers) {
    const was = old.get(peer.id);
    if (was) changes.push(...diffPeer(service, was, peer));
  }
  for (const id of new Set([...Object.keys(before.instances), ...Object.keys(after.instances)]))
    changes.push(...diffIntent(service, id, before, after, wall, members.has(id) ? by : false));
  changes.push(...diffShares(service, before, after));
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

/**
 * What somebody decided for an instance, layer by layer, where a set does not show it: for one that is not registered, and where
 * something that was decided before is replaced, taken back, covered or uncovered.
 */
function diffIntent(
  service: string,
  id: string,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  /** False = it is not registered. */
  by: string | null | false,
): readonly PlannedChange[] {
  const [was, is] = [before, after].map((record) => inForce(wishOf(record.instances, id), wall));
  const alone = is === undefined && spellLayers(was).length === 1 && (was?.by === by || by === null);
  const shown = by === false || (!alone && tellLayers(was, is).length > 0);
  const [from, to] = [was, is].map((intent) => spellLayers(intent).join(', over ') || 'none');
  if (!shown || from === undefined || to === undefined || from === to) return [];
  return [{ service, instance: id, field: 'intent', from, to }];
}

function diffShares(service: string, before: IntentRecord, after: IntentRecord): readonly PlannedChange[] {
  if (sharesText(before.versions) === sharesText(after.versions)) return [];
  const say = ({ versions, versions_by: author }: IntentRecord): string =>
    `${sharesText(versions)}${author === undefined ? '' : ` set ${spellAuthor(author)}`}`;
  return [{ service, instance: null, field: 'versions', from: say(before), to: say(after) }];
}

/** `v1=80,v2=20`, or `none`. */
export function sharesText(versions: IntentRecord['versions']): string {
  const shares = Object.entries(versions).map(([version, share]) => `${version}=${String(share)}`);
  return shares.join(',') || 'none';
}

/** What differs between two specs with every default filled in. */
export function diffSpec(service: string, before: ServiceSpec, after: ServiceSpec): readonly PlannedChange[] {
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
