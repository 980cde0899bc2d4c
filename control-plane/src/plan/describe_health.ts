import { inFlightKey, type HeardGateway } from '../model/gateway.js';
import type { InstanceHealth } from '../model/resources.js';
import { gatewaysThatCount, isSilent } from './proof.js';
import type { World } from './world.js';

/*
 * Health is each gateway's own judgement of each instance: what one cannot reach another may. It is shown as it was
 * reported; sets do not follow it, and of a release only the question whether anybody can serve a version.
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

/** True if every gateway says that it has `instance` out: one that is silent, or ignores health there, may still use it. */
export function isOutEverywhere(world: Pick<World, 'witnesses'>, service: string, instance: string): boolean {
  const key = inFlightKey(service, instance);
  const gateways = gatewaysThatCount(world.witnesses);
  const isOut = (gateway: string): boolean => {
    const beat = heardNow(world, gateway)?.heartbeat;
    const report = beat?.health && Object.hasOwn(beat.health, key) ? beat.health[key] : undefined;
    return report !== undefined && OUT.has(report.state) && beat?.panic?.includes(service) !== true;
  };
  return gateways.length > 0 && gateways.every(isOut);
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
