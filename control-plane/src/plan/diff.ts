import { own } from '../model/dictionary.js';
import type { IntentRecord, ServiceSpec } from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { PlannedChange } from '../model/mutation.js';
import type { Peer, ServiceSet } from '../model/set.js';
import { isObject } from '../model/shape.js';
import { compileService } from './compile.js';
import { forcedText } from './breaker.js';
import { freezeText } from './freeze.js';
import { holdText, membersAfter } from './hold.js';
import type { ServiceMembers } from './membership.js';
import { spellAuthor, spellLayers } from './layers.js';
import { inForce, instanceIntent } from './record.js';
import { effectiveSpec, keepsAll } from './spec.js';
import { givenWeight, spellPercent, trafficOf } from './traffic.js';

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
  const [old, set] = [before, after].map((record): Side => {
    const those = membersAfter(members, record);
    const compiled = compileService(service, those, record, wall, release).set;
    const weights = new Map(
      [...those].map(([id, member]) => [
        id,
        givenWeight(member, inForce(instanceIntent(record.instances, id), wall)),
      ]),
    );
    return sideOf(compiled, weights);
  }) as [Side, Side];
  const changes: PlannedChange[] = [...set.peers.keys()].flatMap((id) => diffPeer(service, id, old, set));
  const shown = new Set(changes.map(({ instance }) => instance));
  for (const id of new Set([...Object.keys(before.instances), ...Object.keys(after.instances)]))
    changes.push(...diffIntent(service, id, before, after, wall, { by, shown: shown.has(id) }));
  changes.push(...diffShares(service, before, after));
  const [from, to] = [freezeText(before.freeze), freezeText(after.freeze)];
  if (from !== to) changes.push({ service, instance: null, field: 'freeze', from, to });
  const [held, holds] = [holdText(before.hold), holdText(after.hold)];
  if (held !== holds) changes.push({ service, instance: null, field: 'hold', from: held, to: holds });
  const [was, is] = [forcedText(before.breaker), forcedText(after.breaker)];
  if (was !== is) changes.push({ service, instance: null, field: 'breaker', from: was, to: is });
  const spec = diffSpec(service, before.spec, after.spec);
  return [...changes, ...spec, ...(spec.length > 0 ? diffAuthor(service, before, after, by) : [])];
}

/** A set with what people read of it. */
interface Side {
  readonly peers: ReadonlyMap<string, Peer>;
  readonly traffic: ReadonlyMap<string, number>;
  readonly weights: ReadonlyMap<string, number>;
}

function sideOf({ peers }: ServiceSet, weights: Side['weights']): Side {
  return { peers: new Map(peers.map((peer) => [peer.id, peer])), traffic: trafficOf(peers), weights };
}

function diffPeer(service: string, id: string, before: Side, after: Side): readonly PlannedChange[] {
  const [was, is] = [fieldsOf(id, before), fieldsOf(id, after)];
  return is.flatMap(([field, to], index) => {
    const from = was[index]?.[1] ?? to;
    return from === to ? [] : [{ service, instance: id, field, from, to }];
  });
}

function fieldsOf(id: string, { peers, traffic, weights }: Side): readonly (readonly [string, string])[] {
  const peer = peers.get(id);
  if (!peer) return [];
  return [
    ['state', peer.state],
    ['weight', String(weights.get(id) ?? 0)],
    ['traffic', spellPercent(traffic.get(id) ?? 0)],
    ['down', String(peer.down)],
    ['backup', String(peer.backup ?? false)],
    ['keep_sticky', String(peer.keep_sticky ?? false)],
  ];
}

/**
 * What somebody decided for an instance, layer by layer, where a set does not show it: for one that is not registered, where a
 * layer of somebody else is replaced or taken back, and where one covers or uncovers another.
 */
function diffIntent(
  service: string,
  id: string,
  before: IntentRecord,
  after: IntentRecord,
  wall: number,
  { by, shown }: { readonly by: string | null; readonly shown: boolean },
): readonly PlannedChange[] {
  const [was, is] = [before, after].map((record) => inForce(instanceIntent(record.instances, id), wall));
  // What somebody changes of his own, and nothing below it, is shown by what it does to the set.
  const deepest = Math.max(spellLayers(was).length, spellLayers(is).length);
  const own = deepest <= 1 && (was === undefined || by === null || was.by === by);
  if (shown && own) return [];
  const [from, to] = [was, is].map((intent) => spellLayers(intent).join(', over ') || 'none');
  if (from === undefined || to === undefined || from === to) return [];
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

/** Whose decision about the spec somebody else changes; what only adds to it replaces nobody's. */
function diffAuthor(
  service: string,
  { spec: before, spec_by: was }: IntentRecord,
  { spec: after, spec_by: is }: IntentRecord,
  by: string | null,
): readonly PlannedChange[] {
  if (!was || !is || by === null || was.by === by || keepsAll(before, after)) return [];
  return [
    {
      service,
      instance: null,
      field: 'spec',
      from: `last changed ${spellAuthor(was)}`,
      to: `last changed ${spellAuthor(is)}`,
    },
  ];
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
      diffValues(field === '' ? name : `${field}.${name}`, own(before, name), own(after, name)),
    );
  const [from, to] = [say(before), say(after)];
  return from === to ? [] : [{ field, from, to }];
}

function say(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
