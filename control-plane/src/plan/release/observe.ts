import { dueOf } from '../clock.js';
import type { LinkState } from '../../model/ports.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { Counts } from '../../model/release_gates.js';
import type { CallOutcome } from '../../model/release_strategy.js';
import { eligible, type Peer } from '../../model/set.js';
import { compileService } from '../compile.js';
import { protectionOf } from '../describe_holds.js';
import { frozenBy } from '../freeze.js';
import { ackOf, gatewaysThatCount } from '../proof.js';
import { capacityIn, unfitness } from '../serving.js';
import { effectiveSpec } from '../spec.js';
import { membersIn, publishedAt, recordIn, type World } from '../world.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { observeInstances } from './instances.js';
import { strategyOf } from './strategy/of.js';

/** What is not in the world. */
export interface Surroundings {
  readonly watcher: string;
  /** True if the set compiled from the present record is in force in Redis, and that is sure. */
  readonly in_force: boolean;
  readonly zookeeper: LinkState['state'];
  readonly totals: Readonly<Record<string, Counts>> | null;
  readonly recent: Readonly<Record<string, Counts>> | null;
  readonly answers: ReleaseFacts['answers'];
  /** What came of the call that the present record asks for. */
  readonly call: CallOutcome | null;
}

/** The facts for `release`, as the world is now. */
export function observeRelease(world: World, release: ReleaseRecord, around: Surroundings): ReleaseFacts {
  const { service } = release;
  const watched = strategyOf(release).watched(release);
  const record = recordIn(world, service);
  const spec = effectiveSpec(record.spec);
  return {
    watcher: around.watcher,
    ...readiness(world, service),
    published: around.in_force,
    behind: gatewaysBehind(world, service),
    totals: around.totals,
    recent: around.recent,
    answers: around.answers,
    intent_shares: record.versions,
    min_available: spec.min_available,
    current: around.zookeeper === 'connected',
    blocked_by: blockersOf(world, service, around),
    instances: watched ? observeInstances(world, service, watched) : [],
    call: around.call,
    slow_start_ms: spec.health.slow_start_ms,
  };
}

/** How many instances of each version would take requests by the set, whatever gateways find of them. */
export function readyVersions(world: World, service: string): Readonly<Record<string, number>> {
  const ready = new Map<string, number>();
  for (const { version } of openPeers(world, service)) ready.set(version, (ready.get(version) ?? 0) + 1);
  return Object.fromEntries(ready);
}

/** The peers that take requests as soon as their version has a share. */
function openPeers(world: World, service: string): readonly Peer[] {
  const record = { ...recordIn(world, service), versions: {} };
  return compileService(service, membersIn(world, service), record, dueOf(world)).set.peers.filter(eligible);
}

/**
 * How many instances of each version take requests as soon as the version has a share, and who would by its set and does not
 * serve (serving.ts).
 */
function readiness(world: World, service: string): Pick<ReleaseFacts, 'ready' | 'unfit'> {
  const members = membersIn(world, service);
  const open = openPeers(world, service);
  const counts = capacityIn(
    world,
    service,
    members,
    open.map(({ id }) => id),
  );
  const ready = new Map<string, number>();
  const unfit: ReleaseFacts['unfit'][number][] = [];
  for (const { id, version } of open) {
    if (counts(id)) ready.set(version, (ready.get(version) ?? 0) + 1);
    else unfit.push({ version, says: unfitness(world, service, id, members.get(id)) ?? '' });
  }
  return { ready: Object.fromEntries(ready), unfit };
}

/** One sentence per gateway that does not obey the published set; also if there is none that could. */
function gatewaysBehind(world: World, service: string): readonly string[] {
  const { witnesses } = world;
  if (witnesses.unready !== null) return [witnesses.unready];
  const target = publishedAt(world, service);
  if (!target || world.unsettled.has(service)) return ['its set being published'];
  const ids = gatewaysThatCount(witnesses);
  if (ids.length === 0) return ['a gateway: none has ever been heard'];
  return ids.flatMap((id) => {
    const ack = ackOf(id, service, target, witnesses);
    return ack.state === 'acked' ? [] : [ack.message];
  });
}

function blockersOf(world: World, service: string, around: Surroundings): readonly string[] {
  const protection = protectionOf(world, service);
  const damage = world.damaged.get(service);
  return [
    ...(protection === null ? [] : [`protection: ${protection}`]),
    ...(world.witnesses.unready === null ? [] : [world.witnesses.unready]),
    ...(around.zookeeper === 'connected' ? [] : [`ZooKeeper is ${around.zookeeper}`]),
    ...frozenBy(world, service),
    ...(damage === undefined ? [] : [`the record of ${service} cannot be read (${damage})`]),
  ];
}
