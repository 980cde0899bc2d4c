import { dueOf } from '../clock.js';
import type { InstanceFacts } from '../../model/release_facts.js';
import { eligible } from '../../model/set.js';
import { compileService } from '../compile.js';
import { healthOf } from '../describe_health.js';
import { byCodeUnit } from '../encode.js';
import type { Member } from '../membership.js';
import { proveDrained } from '../proof.js';
import { inForce, instanceIntent } from '../record.js';
import { capacityIn } from '../serving.js';
import { drainTarget, membersIn, recordIn, type World } from '../world.js';

/** Health that is no problem: the gateway gives it more and more, and the release waits that time out by itself. */
const SLOW_START = 'warming';

/**
 * The instances of `service`, sorted by id. Proofs and health are looked up for those in `watched` only: of the others nobody
 * asks, and a fleet of many instances and gateways is looked at often.
 */
export function observeInstances(
  world: World,
  service: string,
  watched: ReadonlySet<string>,
): readonly InstanceFacts[] {
  const members = membersIn(world, service);
  const plain = { ...recordIn(world, service), versions: {} };
  const { explained } = compileService(service, members, plain, dueOf(world));
  const open = [...explained].filter(([, { peer }]) => eligible(peer)).map(([id]) => id);
  const counts = capacityIn(world, service, members, open);
  const able = new Set(open.filter(counts));
  return [...members]
    .map(([id, member]) => observeInstance(world, service, id, member, able.has(id), watched.has(id)))
    .sort((a, b) => byCodeUnit(a.id, b.id));
}

function observeInstance(
  world: World,
  service: string,
  id: string,
  { registration, presence }: Member,
  able: boolean,
  watched: boolean,
): InstanceFacts {
  const { host, port, version, leaving } = registration;
  const intent = inForce(instanceIntent(recordIn(world, service).instances, id), dueOf(world));
  const here = presence === 'present';
  const proof = watched
    ? proveDrained(service, id, drainTarget(world, service, id), world.witnesses)
    : { drained: false, waiting_for: [], in_flight: null };
  const reason = intent === undefined || intent.reason === '' ? '' : `: ${intent.reason}`;
  return {
    id,
    host,
    port,
    version,
    presence: here ? 'present' : presence === 'gone' ? 'gone' : 'doubtful',
    able,
    ready: here && registration.ready && !leaving,
    leaving,
    out_of_use: intent?.state === undefined ? null : `${intent.state} by ${intent.by}${reason}`,
    drained: proof.drained,
    undrained: proof.waiting_for,
    in_flight: proof.in_flight,
    unhealthy: watched ? unhealthyOn(world, service, id) : [],
  };
}

function unhealthyOn(world: World, service: string, id: string): readonly string[] {
  return healthOf(world, service, id)
    .filter(({ state }) => state !== SLOW_START)
    .map(
      ({ gateway, state, reason }) => `${state} on gateway ${gateway}${reason === '' ? '' : ` (${reason})`}`,
    );
}
