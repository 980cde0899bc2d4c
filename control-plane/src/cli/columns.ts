import type { RouteResource } from '../model/route_resources.js';
import type {
  ControllerResource,
  Convergence,
  GatewayResource,
  InstanceResource,
  OperationResource,
  IntentResource,
  ProblemResource,
  ServiceEvent,
  ServiceResource,
} from '../model/resources.js';
import type { Position } from '../model/position.js';
import { routeLine } from './spec_text.js';
import { pairs, type Column } from './table.js';

/*
 * What the tables show of each noun.
 */

export function position(at: Position | null): string {
  return at === null ? '' : `${String(at.epoch)}:${String(at.generation)}`;
}

export function sumInFlight(counts: Readonly<Record<string, number | null>>): string {
  const values = Object.values(counts);
  return values.includes(null) ? '?' : String(values.reduce<number>((a, b) => a + (b ?? 0), 0));
}

export function converged(convergence: Convergence | null): string {
  if (convergence === null) return '';
  if (convergence.converged) return 'yes';
  const acked = convergence.gateways.filter((gateway) => gateway.state === 'acked').length;
  return `${String(acked)}/${String(convergence.gateways.length)}`;
}

/** `33.3%`, without a blank: a cell of a table. */
export function percentText(percent: number): string {
  return percent > 0 && percent < 0.05 ? '<0.1%' : `${String(Math.round(percent * 10) / 10)}%`;
}

const count = (n: number | null): string => (n === null ? '?' : String(n));
const yes = (is: boolean): string => (is ? 'yes' : 'no');

/** An isolated instance may be empty too, but nobody asked whether it is: it stays what it is. */
function stateOf(instance: InstanceResource): string {
  const { state } = instance.effective;
  return state === 'draining' && instance.drain?.drained === true ? 'drained' : state;
}

/** Notes ask for nothing, so they are not counted. */
const errors = (problems: readonly ProblemResource[]): number =>
  problems.filter(({ severity }) => severity === 'error').length;

export const SERVICE: readonly Column<ServiceResource>[] = [
  { head: 'SERVICE', show: (s) => s.service },
  { head: 'SERVING', show: (s) => `${String(s.instances.eligible)}/${String(s.instances.total)}` },
  { head: 'HEALTH', show: (s) => `${count(s.instances.healthy)}/${String(s.instances.eligible)}` },
  { head: 'DRAINING', show: (s) => String(s.instances.draining) },
  { head: 'ISOLATED', show: (s) => String(s.instances.isolated) },
  { head: 'SHARES', show: (s) => pairs(s.effective_shares, ',') },
  { head: 'CONVERGED', show: (s) => converged(s.convergence) },
  { head: 'PROBLEMS', show: (s) => String(errors(s.problems)) },
  { head: 'PUBLISHED', show: (s) => position(s.published), wide: true },
  { head: 'ROUTES', show: (s) => s.spec.routes.map((r) => r.host + r.path).join(','), wide: true },
  { head: 'PROTECTION', show: (s) => s.protection ?? '', wide: true },
  { head: 'ETAG', show: (s) => s.etag ?? '', wide: true },
];

/** What a route says beside host, path and name, as `ebbgate route` takes it. */
function settingsOf({
  name: _name,
  service: _service,
  match: _match,
  priority: _priority,
  ...route
}: RouteResource): string {
  const place = `${route.host} ${route.path}`;
  return routeLine(route).slice(place.length + 1);
}

export const ROUTE: readonly Column<RouteResource>[] = [
  { head: 'HOST', show: (r) => r.host },
  { head: 'PATH', show: (r) => (r.match === 'exact' ? `=${r.path}` : r.path) },
  { head: 'SERVICE', show: (r) => r.service },
  { head: 'NAME', show: (r) => r.name },
  { head: 'PRIORITY', show: (r) => String(r.priority ?? 0), wide: true },
  { head: 'SETTINGS', show: settingsOf },
];

/** `healthy`, or by how many gateways it is found otherwise: `failing 2/3`. Empty where nobody checks it. */
function healthOf({ health, drain, in_flight: gateways }: InstanceResource): string {
  if (drain !== null) return '';
  const states = new Map<string, number>();
  for (const { state } of health) states.set(state, (states.get(state) ?? 0) + 1);
  const all = String(Object.keys(gateways).length);
  return [...states].map(([state, n]) => `${state} ${String(n)}/${all}`).join(',') || 'healthy';
}

/** What each gateway finds that does not find it healthy. */
function findingsOf({ health }: InstanceResource): string {
  return health.map((one) => `${one.gateway}:${one.state}`).join(',');
}

export const INSTANCE: readonly Column<InstanceResource>[] = [
  { head: 'SERVICE', show: (i) => i.service },
  { head: 'INSTANCE', show: (i) => i.id },
  { head: 'VERSION', show: (i) => i.version },
  { head: 'STATE', show: stateOf },
  { head: 'HEALTH', show: healthOf },
  { head: 'WEIGHT', show: (i) => String(i.effective.weight) },
  { head: 'TRAFFIC', show: (i) => percentText(i.effective.traffic) },
  { head: 'IN-FLIGHT', show: (i) => sumInFlight(i.in_flight) },
  { head: 'REGISTERED', show: (i) => yes(i.registered) },
  { head: 'HOST', show: (i) => i.host, wide: true },
  { head: 'PORT', show: (i) => String(i.port), wide: true },
  { head: 'ZONE', show: (i) => i.zone, wide: true },
  { head: 'BACKUP', show: (i) => (i.effective.backup ? 'yes' : 'no'), wide: true },
  { head: 'FINDINGS', show: findingsOf, wide: true },
  { head: 'BY', show: (i) => i.intent?.by ?? '', wide: true },
  { head: 'UNTIL', show: (i) => i.intent?.expires ?? '', wide: true },
  { head: 'WHY', show: (i) => i.why.join('; '), wide: true },
];

export const CONTROLLER: readonly Column<ControllerResource>[] = [
  { head: 'CONTROLLER', show: (c) => c.id },
  { head: 'ROLE', show: (c) => c.role },
  { head: 'ADDRESS', show: (c) => c.address ?? '' },
  { head: 'VERSION', show: (c) => c.version },
  { head: 'STARTED', show: (c) => c.started_at, wide: true },
];

export const GATEWAY: readonly Column<GatewayResource>[] = [
  { head: 'GATEWAY', show: (g) => g.id },
  { head: 'STATE', show: (g) => g.state },
  { head: 'WORKERS', show: (g) => count(g.workers) },
  { head: 'APPLIED', show: (g) => position(g.applied) },
  { head: 'BEHIND', show: (g) => count(g.behind) },
  { head: 'IN-FLIGHT', show: (g) => count(g.in_flight) },
  { head: 'PROBLEMS', show: (g) => g.problems.map((t) => t.kind).join(',') },
  { head: 'REJECTED', show: (g) => g.rejected.map((r) => `${r.service}:${r.code}`).join(',') },
  { head: 'CONTRACTS', show: (g) => (g.contracts ?? []).join(','), wide: true },
  { head: 'ROSTER', show: (g) => yes(g.in_roster), wide: true },
  { head: 'SINCE', show: (g) => g.since ?? '', wide: true },
  { head: 'SILENT', show: (g) => (g.silent_ms === null ? '' : `${String(g.silent_ms)}ms`), wide: true },
  { head: 'HOST', show: (g) => g.host ?? '', wide: true },
  { head: 'BOOT', show: (g) => g.boot ?? '', wide: true },
];

export const OPERATION: readonly Column<OperationResource>[] = [
  { head: 'OPERATION', show: (o) => o.id },
  { head: 'KIND', show: (o) => o.kind },
  { head: 'STATE', show: (o) => o.result ?? o.state },
  {
    head: 'DONE',
    show: (o) => `${String(o.instances.filter((i) => i.drained).length)}/${String(o.instances.length)}`,
  },
  { head: 'BY', show: (o) => o.by },
  { head: 'AT', show: (o) => o.at },
  { head: 'REASON', show: (o) => o.reason },
  { head: 'DEADLINE', show: (o) => o.deadline ?? '', wide: true },
  { head: 'ON-TIMEOUT', show: (o) => o.on_timeout, wide: true },
  { head: 'INSTANCES', show: (o) => o.instances.map((i) => `${i.service}/${i.id}`).join(','), wide: true },
  { head: 'WAITING-FOR', show: (o) => o.waiting_for.join('; '), wide: true },
];

export const INTENT: readonly Column<IntentResource>[] = [
  { head: 'SERVICE', show: (o) => o.service },
  { head: 'INSTANCE', show: (o) => o.instance ?? '' },
  { head: 'KIND', show: (o) => o.kind },
  { head: 'VALUE', show: (o) => o.value },
  { head: 'BY', show: (o) => o.by },
  { head: 'SINCE', show: (o) => o.since },
  { head: 'UNTIL', show: (o) => o.until ?? '' },
  { head: 'REASON', show: (o) => o.reason },
];

export const PROBLEM: readonly Column<ProblemResource>[] = [
  { head: 'SERVICE', show: (p) => p.service ?? '' },
  { head: 'PROBLEM', show: (p) => p.code },
  { head: 'SEVERITY', show: (p) => p.severity },
  { head: 'SINCE', show: (p) => p.since },
  { head: 'WHERE', show: (p) => [p.path, p.instance, p.field].filter((part) => part !== null).join(' ') },
  { head: 'MESSAGE', show: (p) => p.message },
];

export const EVENT: readonly Column<ServiceEvent>[] = [
  { head: 'AT', show: (e) => e.at },
  { head: 'EVENT', show: (e) => e.event },
  { head: 'BY', show: (e) => e.by },
  { head: 'INSTANCE', show: (e) => e.instance ?? '' },
  { head: 'MESSAGE', show: (e) => e.message },
];
