import { dueOf } from './clock.js';
import type { FleetContract } from '../model/contract.js';
import type { Freeze } from '../model/freeze.js';
import type { StandingHold } from '../model/hold.js';
import { NO_INTENT, type IntentRecord, type ServiceEvent, type StoredIntent } from '../model/intent.js';
import { isKeysName, KEYS } from '../model/key_documents.js';
import type { Position } from '../model/position.js';
import type { Convergence } from '../model/resources.js';
import type { RegistryProblem } from '../model/registration.js';
import type { StandingProblem } from '../model/standing_problem.js';
import { eligible, type PublishedDocument } from '../model/set.js';
import { keptUntil, type CompiledService } from './compile.js';
import type { RouteClash } from './compile_routes.js';
import type { Membership, ServiceMembers } from './membership.js';
import { convergenceOf, type ProofTarget, type Witnesses } from './proof.js';
import { inForce, instanceIntent } from './record.js';

/** Everything the controller knows at one moment; what the API shows is computed from it and nothing else. */
export interface World {
  /** Milliseconds of the wall clock. */
  readonly wall: number;
  /** What was to end until then has expired; absent = `wall`. Behind it while the clock cannot be believed. */
  readonly due?: number;
  /** The epoch this controller publishes under; null before it has become the leader. */
  readonly epoch: number | null;
  readonly membership: Membership;
  readonly intents: ReadonlyMap<string, StoredIntent>;
  readonly compiled: ReadonlyMap<string, CompiledService>;
  /** By service, and `@routes`. */
  readonly published: ReadonlyMap<string, PublishedDocument>;
  /** Services whose newest publish has no answer: what `published` says of them may have been replaced already. */
  readonly unsettled: ReadonlySet<string>;
  /** Service → what is wrong with its intent record. */
  readonly damaged: ReadonlyMap<string, string>;
  /** Service → why its removals wait, the strongest hold first. */
  readonly holds: ReadonlyMap<string, readonly StandingHold[]>;
  readonly problems: readonly RegistryProblem[];
  /** Problems that only the controller can see, like a record that cannot be read. */
  readonly found: readonly StandingProblem[];
  /** The key of a problem → when it was seen first, wall clock. */
  readonly problems_since: ReadonlyMap<string, number>;
  readonly clashes: readonly RouteClash[];
  /** The freeze of everything; null = none. */
  readonly frozen: Freeze | null | 'unknown';
  readonly witnesses: Witnesses;
  /** The version that sets are written in, and since when (wall clock) it is below what is allowed. Absent = the oldest. */
  readonly contract?: FleetContract & { readonly limited_since?: number | null };
  /** What people did, besides what the records report, newest last. */
  readonly history: ReadonlyMap<string, readonly ServiceEvent[]>;
  /** What happened to registrations, newest last; remembered by this controller only. */
  readonly recent: ReadonlyMap<string, readonly ServiceEvent[]>;
}

const NOBODY: ServiceMembers = new Map();

/** The record of `service`, or the empty one. */
export function recordIn(world: World, service: string): IntentRecord {
  return world.intents.get(service)?.record ?? NO_INTENT;
}

/** The members of `service`, or none. */
export function membersIn(world: World, service: string): ServiceMembers {
  return world.membership.get(service) ?? NOBODY;
}

/** Names of all services that are registered, be it badly, or that somebody decided something for, sorted. */
export function serviceNames(world: World): readonly string[] {
  const { membership, intents, compiled } = world;
  return [
    ...new Set([...membership.keys(), ...intents.keys(), ...compiled.keys(), ...troubled(world)]),
  ].sort();
}

/** True if anything is registered, be it badly, or decided under that name. */
export function isKnown(world: World, service: string): boolean {
  const { membership, intents, compiled } = world;
  if (membership.has(service) || intents.has(service) || compiled.has(service)) return true;
  return troubled(world).includes(service);
}

/** Services that something is wrong with. */
function troubled({ problems, found }: World): readonly string[] {
  return [...problems, ...found].flatMap(({ service }) => service ?? []);
}

/** Where the present publication of `service` is, of `@keys` the newest of all keys; null while none is out under this epoch. */
export function publishedAt(world: World, service: string): Position | null {
  if (service === KEYS) return keysAt(world);
  const document = world.published.get(service);
  if (!document || document.epoch !== world.epoch) return null;
  return { epoch: document.epoch, generation: document.generation };
}

/** Where the newest document of keys is: who has that has all. Where there is none there is nothing to follow but the epoch. */
function keysAt({ epoch, published }: World): Position | null {
  if (epoch === null) return null;
  let generation = 0;
  for (const [name, document] of published) {
    if (!isKeysName(name)) continue;
    if (document.epoch !== epoch) return null;
    generation = Math.max(generation, document.generation);
  }
  return { epoch, generation };
}

/**
 * Where the published set is that gives `instance` no new request; null while it is not sure that such a set is out.
 * A drain that keeps sticky clients has such a set only after that; until then a proof would be of a moment.
 */
export function drainTarget(world: World, service: string, instance: string): ProofTarget {
  if (world.unsettled.has(service)) return null;
  const record = recordIn(world, service);
  const member = membersIn(world, service).get(instance);
  const intent = inForce(instanceIntent(record.instances, instance), dueOf(world));
  const kept = member ? keptUntil(record.spec, member, intent, dueOf(world)) : null;
  if (kept !== null) return { kept_until: kept };
  const document = world.published.get(service)?.document;
  const peer =
    document && 'peers' in document ? document.peers.find((one) => one.id === instance) : undefined;
  return peer && (eligible(peer) || peer.keep_sticky === true) ? null : publishedAt(world, service);
}

/** Who follows the present publication of `service`; `undefined` while none is out under this epoch. */
export function presentConvergence(world: World, service: string): Convergence | undefined {
  const position = publishedAt(world, service);
  if (!position) return undefined;
  const convergence = convergenceOf(service, position, world.witnesses);
  const isUnsettled = service === KEYS ? [...world.unsettled].some(isKeysName) : world.unsettled.has(service);
  return isUnsettled ? { ...convergence, converged: false } : convergence;
}
