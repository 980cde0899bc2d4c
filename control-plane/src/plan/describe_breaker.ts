import type { BreakerResource } from '../model/breaker.js';
import { forcedIn } from './breaker.js';
import { dueOf } from './clock.js';
import { findingsOf } from './describe_health.js';
import { recordIn, type World } from './world.js';

/** Who leaves the service alone, and whether anybody said so. */
export function describeBreaker(world: World, service: string): BreakerResource {
  const forced = forcedIn(recordIn(world, service), dueOf(world));
  return {
    forced: forced
      ? {
          ...{ state: forced.state, by: forced.by, reason: forced.reason },
          ...{ since: forced.at, until: forced.expires ?? null },
        }
      : null,
    gateways: findingsOf(world).breakers.get(service) ?? [],
  };
}
