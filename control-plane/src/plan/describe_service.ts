import { dueOf } from './clock.js';
import type { InstanceIntent } from '../model/intent.js';
import type { InstanceResource, ServiceResource, SetResource } from '../model/resources.js';
import { eligible, type Peer } from '../model/set.js';
import { describeBreaker } from './describe_breaker.js';
import type { CompiledService } from './compile.js';
import { keepEvents } from '../model/people.js';
import { byCodeUnit, writtenIn } from './encode.js';
import { describeHolds, protectionOf } from './describe_holds.js';
import { describeProblemsOf } from './find_problems.js';
import { freezesOf } from './freeze.js';
import { spellLayers } from './layers.js';
import { findingsOf, findingsOn, healthOf, panickingIn } from './describe_health.js';
import { inFlightOf, proveDrained } from './proof.js';
import { inForce, instanceIntent } from './record.js';
import { servesIn, spellFindings } from './serving.js';
import { effectiveSpec } from './spec.js';
import { givenWeight, roundedPercent, sharesByVersion, trafficOf } from './traffic.js';
import {
  drainTarget,
  isKnown,
  membersIn,
  presentConvergence,
  publishedAt,
  recordIn,
  type World,
} from './world.js';
import type { ServiceEvent } from '../model/intent.js';

/** `undefined` if nothing is registered, not even badly, nor decided under that name. */
export function describeService(world: World, service: string): ServiceResource | undefined {
  if (!isKnown(world, service)) return undefined;
  const stored = world.intents.get(service);
  const compiled = world.compiled.get(service);
  const record = recordIn(world, service);
  const peers = compiled?.set.peers ?? [];
  const position = publishedAt(world, service);
  const count = (test: (peer: Peer) => boolean): number => peers.filter(test).length;
  const [up, draining, isolated] = [
    count(eligible),
    count((peer) => peer.state === 'draining'),
    count((peer) => peer.state === 'isolated'),
  ];
  return {
    service,
    etag: stored?.etag ?? null,
    spec: effectiveSpec(record.spec),
    versions: record.versions,
    fallback: record.fallback ?? null,
    fell_back: (compiled?.fallback ?? null) !== null,
    instances: {
      total: peers.length,
      eligible: up,
      healthy: countHealthy(world, service, peers),
      draining,
      isolated,
      other: peers.length - up - draining - isolated,
    },
    effective_shares: sharesByVersion(peers),
    published: position,
    convergence: presentConvergence(world, service) ?? null,
    problems: describeProblemsOf(world, service),
    protection: protectionOf(world, service),
    holds: describeHolds(world, service),
    freezes: freezesOf(world, service),
    panic: panickingIn(world, service),
    breaker: describeBreaker(world, service),
  };
}

/** How many serve (serving.ts): eligible by the set, and well. Null while no gateway can be asked. */
function countHealthy(world: World, service: string, peers: readonly Peer[]): number | null {
  if (findingsOf(world).reporting.length === 0) return null;
  const serves = servesIn(world, service, membersIn(world, service));
  return peers.filter((peer) => eligible(peer) && serves(peer.id)).length;
}

/** `undefined` if there is no such service; sorted by id. */
export function describeInstances(world: World, service: string): readonly InstanceResource[] | undefined {
  if (!isKnown(world, service)) return undefined;
  const ids = new Set([
    ...membersIn(world, service).keys(),
    ...Object.keys(recordIn(world, service).instances),
  ]);
  return [...ids].sort(byCodeUnit).flatMap((id) => describeInstance(world, service, id) ?? []);
}

/** `undefined` if it is neither registered nor has an intent. */
export function describeInstance(world: World, service: string, id: string): InstanceResource | undefined {
  const member = membersIn(world, service).get(id);
  const intent = instanceIntent(recordIn(world, service).instances, id);
  if (!member && !intent) return undefined;
  const registration = member?.registration;
  const explained = world.compiled.get(service)?.explained.get(id);
  const peer = explained?.peer;
  const { state, down } = peer ?? { state: 'gone' as const, down: true };
  const traffic = trafficIn(world, service).get(id) ?? 0;
  const open = explained !== undefined && eligible(explained.peer);
  const live = inForce(intent, dueOf(world));
  const why = explained?.why ?? ['it is not registered; the intent applies when it registers'];
  return {
    service,
    id,
    host: registration?.host ?? '',
    port: registration?.port ?? 0,
    version: registration?.version ?? '',
    zone: registration?.zone ?? '',
    labels: registration?.labels ?? {},
    registered: member?.presence === 'present',
    ready: registration?.ready ?? false,
    leaving: registration?.leaving ?? false,
    registered_weight: registration?.weight ?? 0,
    registered_backup: registration?.backup ?? false,
    path: registration && registration.path !== '' ? registration.path : null,
    persistent: registration?.persistent ?? false,
    intent: live ? describeIntent(live) : null,
    effective: {
      ...{ state, weight: givenWeight(member, live), traffic: roundedPercent(traffic), down },
      backup: peer?.backup ?? false,
      keep_sticky: peer?.keep_sticky ?? false,
    },
    why: [...illness(open ? findingsOn(world, service, id) : []), ...why],
    in_flight: inFlightOf(service, id, world.witnesses),
    drain: open ? null : proveDrained(service, id, drainTarget(world, service, id), world.witnesses),
    health: open ? healthOf(world, service, id) : [],
  };
}

/** What gateways find of it is stronger than all that the set says. */
function illness(found: ReturnType<typeof findingsOn>): readonly string[] {
  return found.length === 0 ? [] : [spellFindings(found)];
}

const traffics = new WeakMap<CompiledService, ReadonlyMap<string, number>>();

/** Of the set that is wanted; computed once for all of its instances. */
function trafficIn(world: World, service: string): ReadonlyMap<string, number> {
  const compiled = world.compiled.get(service);
  if (!compiled) return new Map();
  const known = traffics.get(compiled) ?? trafficOf(compiled.set.peers);
  traffics.set(compiled, known);
  return known;
}

function describeIntent(intent: InstanceIntent): NonNullable<InstanceResource['intent']> {
  const { state, weight, backup, keep_sticky_until: kept, by, reason, at, expires, op } = intent;
  return {
    layers: spellLayers(intent),
    state: state ?? null,
    weight: weight ?? null,
    backup: backup ?? null,
    keep_sticky_until: kept ?? null,
    by,
    reason,
    at,
    expires: expires ?? null,
    operation: op ?? null,
  };
}

/** The published document, as it is in Redis. */
export function describeSet(world: World, service: string): SetResource | undefined {
  const published = world.published.get(service);
  if (!published || 'keys' in published.document) return undefined;
  const { epoch, generation, hash, at, payload } = published;
  const { document } = published;
  return { service, contract: writtenIn(payload), epoch, generation, hash, at, document };
}

/** How many events are shown of people, and how many of the controller and the registry. */
const SHOWN = { people: 200, others: 50 };

/**
 * What happened to a service, oldest first: the last 200 things that people did, `also` among them, and the last 50 of the controller
 * and of its instances.
 */
export function describeEvents(
  world: World,
  service: string,
  also: readonly ServiceEvent[] = [],
): readonly ServiceEvent[] | undefined {
  if (!isKnown(world, service)) return undefined;
  const history = world.history.get(service) ?? [];
  const { events } = recordIn(world, service);
  const all = [...history, ...events, ...(world.recent.get(service) ?? []), ...also]
    .map(({ at, event, by, instance, message }) => {
      return { at, event, by, ...(instance === undefined ? {} : { instance }), message };
    })
    .sort((a, b) => byCodeUnit(a.at, b.at));
  return keepEvents(all, SHOWN);
}
