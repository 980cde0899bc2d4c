import { inFlightKey, type HeardGateway } from '../model/gateway.js';
import type { InstanceHealth } from '../model/resources.js';
import { gatewaysThatCount, isSilent } from './proof.js';
import type { World } from './world.js';

/*
 * Health is each gateway's own judgement of each instance: what one cannot reach another may. It is shown as it was
 * reported, and the plan does nothing by it.
 */

/** How `instance` fares at every gateway that counts, by gateway. A gateway that reports nothing of it finds it healthy. */
export function healthOf(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  const key = inFlightKey(service, instance);
  return gatewaysThatCount(world.witnesses).map((gateway): InstanceHealth => {
    const heard = heardNow(world, gateway);
    if (!heard) return { gateway, state: 'unknown', reason: 'the gateway cannot be heard', since: null };
    const { health, health_unlisted: unlisted = 0 } = heard.heartbeat;
    const report = health && Object.hasOwn(health, key) ? health[key] : undefined;
    if (!report && unlisted > 0)
      return { gateway, state: 'unknown', reason: 'the gateway has more to report than room', since: null };
    if (!report) return { gateway, state: 'healthy', reason: '', since: null };
    const { state, reason, since } = report;
    return { gateway, state, reason, since: new Date(since * 1_000).toISOString() };
  });
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
