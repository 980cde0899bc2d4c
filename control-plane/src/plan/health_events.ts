import { eligible } from '../model/set.js';
import { byCodeUnit } from './encode.js';
import { findingsOf, panickingIn } from './describe_health.js';
import { gatewaysThatCount } from './proof.js';
import { enumerate, spellFindings } from './serving.js';
import type { World } from './world.js';

/*
 * What gateways' reports of health become in the history of a service: one event for each change of an instance, however many
 * gateways see it. `ejected` or `failing` once the first of them finds it so, `recovered` once none does; `panic` once the first
 * of them ignores health, `recovered` (of no instance) once none does; `breaker_opened` once the first of them leaves the service
 * alone, `breaker_closed` once none does.
 */

/** What was reported last. */
export interface ReportedHealth {
  /** Service → instance → what was reported of it, and the gateways that found it so. */
  readonly instances: ReadonlyMap<string, ReadonlyMap<string, ReportedInstance>>;
  /** Service → gateways that ignore health. */
  readonly panic: ReadonlyMap<string, readonly string[]>;
  /** Service → gateways on which its breaker is open. */
  readonly breakers: ReadonlyMap<string, readonly string[]>;
}

interface ReportedInstance {
  readonly event: 'ejected' | 'failing';
  readonly gateways: readonly string[];
}

export interface HealthEvent {
  readonly service: string;
  readonly event: 'ejected' | 'failing' | 'recovered' | 'panic' | 'breaker_opened' | 'breaker_closed';
  /** Absent where it is about the service. */
  readonly instance?: string;
  readonly message: string;
}

export const NOTHING_REPORTED: ReportedHealth = {
  instances: new Map(),
  panic: new Map(),
  breakers: new Map(),
};

type Seen = Pick<World, 'witnesses' | 'compiled'>;

/**
 * The events that follow on `reported`, and what is reported with them. Nobody checks an instance that may get no request, so
 * there is no event of it; a gateway that falls silent, or was restarted and has no sets yet, takes nothing back.
 */
export function observeHealth(
  reported: ReportedHealth,
  world: Seen,
): { readonly reported: ReportedHealth; readonly events: readonly HealthEvent[] } {
  const { out, panic, breakers } = findingsOf(world);
  const services = [
    ...new Set([
      ...[out, panic, breakers].flatMap((one) => [...one.keys()]),
      ...[reported.instances, reported.panic, reported.breakers].flatMap((one) => [...one.keys()]),
    ]),
  ];
  const events: HealthEvent[] = [];
  const instances = new Map<string, ReadonlyMap<string, ReportedInstance>>();
  const panics = new Map<string, readonly string[]>();
  const opened = new Map<string, readonly string[]>();
  for (const service of services.sort(byCodeUnit)) {
    const open = openIn(world, service);
    const now = instancesIn(service, reported.instances.get(service), world, open, events);
    if (now.size > 0) instances.set(service, now);
    const ignoring = panicIn(service, reported.panic.get(service) ?? [], world, open.size > 0, events);
    if (ignoring.length > 0) panics.set(service, ignoring);
    const alone = breakerIn(service, reported.breakers.get(service) ?? [], world, events);
    if (alone.length > 0) opened.set(service, alone);
  }
  return { reported: { instances, panic: panics, breakers: opened }, events };
}

/** Whoever may get requests by the set. */
function openIn(world: Seen, service: string): ReadonlySet<string> {
  const peers = world.compiled.get(service)?.set.peers ?? [];
  return new Set(peers.filter(eligible).map(({ id }) => id));
}

function instancesIn(
  service: string,
  before: ReadonlyMap<string, ReportedInstance> | undefined,
  world: Seen,
  open: ReadonlySet<string>,
  events: HealthEvent[],
): ReadonlyMap<string, ReportedInstance> {
  const found = findingsOf(world).out.get(service);
  const now = new Map<string, ReportedInstance>();
  for (const [instance, reports] of found ?? []) {
    if (!open.has(instance)) continue;
    const event = reports.some(({ state }) => state === 'failing') ? 'failing' : 'ejected';
    now.set(instance, { event, gateways: reports.map(({ gateway }) => gateway) });
    if (before?.get(instance)?.event === event) continue;
    events.push({ service, event, instance, message: `${instance} ${spellFindings(reports)}` });
  }
  for (const [instance, was] of before ?? []) {
    if (now.has(instance) || !open.has(instance)) continue;
    if (isUnsure(was.gateways, world)) now.set(instance, was);
    else {
      const message = `${instance} is well again on every gateway that is heard`;
      events.push({ service, event: 'recovered', instance, message });
    }
  }
  return now;
}

function panicIn(
  service: string,
  before: readonly string[],
  world: Seen,
  known: boolean,
  events: HealthEvent[],
): readonly string[] {
  const now = panickingIn(world, service);
  if (now.length > 0 && before.length === 0) {
    const who = now.length === 1 ? `gateway ${enumerate(now)} ignores` : `gateways ${enumerate(now)} ignore`;
    events.push({ service, event: 'panic', message: `${who} health: too many of its instances are out` });
  }
  if (now.length > 0 || before.length === 0 || !known) return now;
  if (isUnsure(before, world)) return before;
  events.push({ service, event: 'recovered', message: 'no gateway ignores health any more' });
  return now;
}

function breakerIn(
  service: string,
  before: readonly string[],
  world: Seen,
  events: HealthEvent[],
): readonly string[] {
  const found = findingsOf(world).breakers.get(service) ?? [];
  const [first] = found;
  if (first && before.length === 0) {
    const message = `gateway ${first.gateway} leaves the service alone: ${first.reason}`;
    events.push({ service, event: 'breaker_opened', message });
  }
  const now = found.map(({ gateway }) => gateway);
  if (now.length > 0 || before.length === 0) return now;
  if (isUnsure(before, world)) return before;
  events.push({ service, event: 'breaker_closed', message: 'no gateway leaves the service alone any more' });
  return now;
}

/** One of them may still find it so: it counts and cannot be asked now. */
function isUnsure(gateways: readonly string[], world: Seen): boolean {
  const { reporting } = findingsOf(world);
  const present = gatewaysThatCount(world.witnesses);
  return gateways.some((id) => present.includes(id) && !reporting.includes(id));
}
