import { inFlightKey, type HeardGateway, type ReportedHealth } from '../model/gateway.js';
import type { BreakerResource } from '../model/breaker.js';
import type { InstanceHealth } from '../model/resources.js';
import { gatewaysThatCount, isSilent, type Witnesses } from './proof.js';
import type { World } from './world.js';

/*
 * Health is each gateway's own finding about each instance: what one cannot reach another may. It is shown as it was
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
    return shown(gateway, report);
  });
}

/** A gateway that says one of these of an instance gives it nothing, or one request to try it. */
const OUT: ReadonlySet<string> = new Set(['ejected', 'failing', 'half_open']);

/** What all gateways that can be asked say, put together once for each moment. */
interface Findings {
  readonly reporting: readonly string[];
  /** Service → instance → what those say that find it ejected or failing. */
  readonly out: ReadonlyMap<string, ReadonlyMap<string, readonly InstanceHealth[]>>;
  /** Service → gateways that ignore health in it. */
  readonly panic: ReadonlyMap<string, readonly string[]>;
  /** Service → what the gateways say on which its breaker is open. */
  readonly breakers: ReadonlyMap<string, BreakerResource['gateways']>;
}

const FINDINGS = new WeakMap<Witnesses, Findings>();

/** What is found of instances by the gateways that can be asked: those that are heard now and caught up once. */
export function findingsOf({ witnesses }: Pick<World, 'witnesses'>): Findings {
  const known = FINDINGS.get(witnesses);
  if (known) return known;
  const reporting: string[] = [];
  const out = new Map<string, Map<string, InstanceHealth[]>>();
  const panic = new Map<string, string[]>();
  const breakers = new Map<string, BreakerResource['gateways']>();
  for (const gateway of gatewaysThatCount(witnesses)) {
    const beat = heardNow({ witnesses }, gateway)?.heartbeat;
    if (!beat) continue;
    reporting.push(gateway);
    for (const service of beat.panic ?? []) panic.set(service, [...(panic.get(service) ?? []), gateway]);
    for (const [service, { state, reason, since }] of Object.entries(beat.breakers ?? {})) {
      const report = { gateway, state, reason, since: new Date(since * 1_000).toISOString() };
      breakers.set(service, [...(breakers.get(service) ?? []), report]);
    }
    for (const [key, report] of Object.entries(beat.health ?? {})) {
      if (!OUT.has(report.state)) continue;
      const [service = '', instance = ''] = key.split('|');
      const found = out.get(service) ?? new Map<string, InstanceHealth[]>();
      out.set(service, found.set(instance, [...(found.get(instance) ?? []), shown(gateway, report)]));
    }
  }
  const findings = { reporting, out, panic, breakers };
  FINDINGS.set(witnesses, findings);
  return findings;
}

/** What the gateways that find `instance` ejected or failing say of it. */
export function findingsOn(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  return findingsOf(world).out.get(service)?.get(instance) ?? [];
}

/**
 * The same, if every gateway that can be asked finds it so: then nobody serves by it. Empty if one of them finds it well, or
 * had no room to report it, or if none can be asked. A gateway that is silent says nothing either way. That a gateway ignores
 * health now (panic) makes nobody well.
 */
export function outOn(
  world: Pick<World, 'witnesses'>,
  service: string,
  instance: string,
): readonly InstanceHealth[] {
  const found = findingsOn(world, service, instance);
  return found.length === findingsOf(world).reporting.length ? found : [];
}

/** The gateways that ignore health in `service` now, because too many of its instances are out there. */
export function panickingIn(world: Pick<World, 'witnesses'>, service: string): readonly string[] {
  return findingsOf(world).panic.get(service) ?? [];
}

function shown(gateway: string, { state, reason, since }: ReportedHealth): InstanceHealth {
  return { gateway, state, reason, since: new Date(since * 1_000).toISOString() };
}

function heardNow(world: Pick<World, 'witnesses'>, gateway: string): HeardGateway | null {
  const { fleet, shared } = world.witnesses;
  const heard = fleet.heard.get(gateway);
  if (!heard || isSilent(heard, world.witnesses) || shared.has(gateway)) return null;
  return heard.heartbeat.applied === null ? null : heard;
}
