import { inFlightKey, type HeardGateway } from '../model/gateway.js';
import type { InstanceHealth } from '../model/resources.js';
import { gatewaysThatCount, isSilent } from './proof.js';
import type { World } from './world.js';

/*
 * Health is each gateway's own judgement of each instance: what one cannot reach another may. It is shown as it was
 * reported; sets do not follow it. Guards and releases ask only who serves (serving.ts).
 */

/**
 * How `instance` fares, by gateway. Those that find it healthy are left out: most do, and a list of every instance at every
 * gateway would be most of what is answered.
 */
export function healthOf(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  const key = inFlightKey(service, instance);
  return gatewaysThatCount(world.witnesses).flatMap((gateway): InstanceHealth | [] => {
    const heard = heardNow(world, gateway);
    if (!heard) return { gateway, state: 'unknown', reason: 'the gateway cannot be heard', since: null };
    const { health, health_unlisted: unlisted = 0 } = heard.heartbeat;
    const report = health && Object.hasOwn(health, key) ? health[key] : undefined;
    if (!report && unlisted > 0)
      return { gateway, state: 'unknown', reason: 'the gateway has more to report than room', since: null };
    if (!report) return [];
    const { state, reason, since } = report;
    return { gateway, state, reason, since: new Date(since * 1_000).toISOString() };
  });
}

/** A gateway that says one of these of an instance gives it nothing, or one request to try it. */
const OUT: ReadonlySet<string> = new Set(['ejected', 'failing', 'trial']);

/** The gateways that can be asked how instances fare: heard now, and caught up once. */
export function judgesOf(world: Pick<World, 'witnesses'>): readonly string[] {
  return gatewaysThatCount(world.witnesses).filter((gateway) => heardNow(world, gateway) !== null);
}

/** What the gateways that find `instance` ejected or failing say of it. */
export function findingsOn(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  return healthOf(world, service, instance).filter(({ state }) => OUT.has(state));
}

/**
 * The same, if every gateway that can be asked finds it so: then nobody serves by it. Empty if one of them finds it well, or
 * had no room to tell, or if none can be asked. A gateway that is silent says nothing either way. That a gateway ignores
 * health now (panic) makes nobody well.
 */
export function outOn(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  const found = findingsOn(world, service, instance);
  return found.length > 0 && found.length === judgesOf(world).length ? found : [];
}

/** The gateways that ignore health in `service` now, because too many of its instances are out there. */
export function panickingIn(world: Pick<World, 'witnesses'>, service: string): readonly string[] {
  return gatewaysThatCount(world.witnesses).filter((gateway) =>
    heardNow(world, gateway)?.heartbeat.panic?.includes(service),
  );
}

function heardNow(world: Pick<World, 'witnesses'>, gateway: string): HeardGateway | null {
  const { fleet, shared } = world.witnesses;
  const heard = fleet.heard.get(gateway);
  if (!heard || isSilent(heard, world.witnesses) || shared.has(gateway)) return null;
  return heard.heartbeat.applied === null ? null : heard;
}
