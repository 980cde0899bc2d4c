import type {
  EffectiveSections,
  GatewayResource,
  InstanceResource,
  OperationResource,
  ProblemResource,
  ServiceResource,
} from '../model/resources.js';
import type { ReadinessResource } from '../model/readiness.js';
import { SECTIONS } from '../model/service_spec.js';
import { withDefaults } from '../model/shape.js';

/*
 * Builders of what the API answers: complete resources in a plain state; name only what the test is about.
 */

/** Every time in them. */
export const AT = '2026-01-02T03:04:05.000Z';

/** A leading controller with both stores connected. */
export function makeReadiness(parts: Partial<ReadinessResource> = {}): ReadinessResource {
  const fine = { state: 'ok', since: AT, detail: 'connected', stale_since: null } as const;
  return {
    ready: true,
    data_loss: null,
    controller: { state: 'leading', epoch: 7, since: AT },
    zookeeper: fine,
    redis: fine,
    clock: { state: 'in_sync', since: AT, detail: '', ahead_ms: { zookeeper: 0, redis: 0 } },
    ...parts,
  };
}

/** A service with `total` eligible instances of v1 and nothing decided but its default spec. */
export function makeService({
  total = 2,
  ...parts
}: Partial<ServiceResource> & { readonly total?: number } = {}): ServiceResource {
  return {
    service: 'shop',
    etag: '17-3',
    spec: {
      routes: [{ host: '*', path: '/' }],
      ...(withDefaults(SECTIONS, {}) as unknown as EffectiveSections),
      min_available: 1,
      version_fallback: true,
    },
    versions: {},
    fallback: null,
    fell_back: false,
    instances: { total, eligible: total, healthy: total, draining: 0, isolated: 0, other: 0 },
    effective_shares: { v1: 100 },
    published: { epoch: 7, generation: 12 },
    convergence: null,
    problems: [],
    protection: null,
    holds: [],
    freezes: [],
    panic: [],
    breaker: { forced: null, gateways: [] },
    ...parts,
  };
}

/** An instance that serves at weight 100, with two gateways without an open request for it. */
export function makeInstance(parts: Partial<InstanceResource> = {}): InstanceResource {
  return {
    service: 'shop',
    id: '10.0.1.7:8080',
    host: '10.0.1.7',
    port: 8080,
    version: 'v1',
    zone: 'a',
    labels: {},
    registered: true,
    ready: true,
    leaving: false,
    registered_weight: 100,
    registered_backup: false,
    path: '/services/shop/providers/a',
    persistent: false,
    intent: null,
    effective: { state: 'up', weight: 100, traffic: 50, down: false, backup: false, keep_sticky: false },
    why: ['registered with weight 100'],
    in_flight: { 'gw-a': 0, 'gw-b': 0 },
    drain: null,
    health: [],
    ...parts,
  };
}

/** A node of shop whose data are no JSON. */
export function makeProblem(parts: Partial<ProblemResource> = {}): ProblemResource {
  return {
    code: 'bad_json',
    severity: 'error',
    service: 'shop',
    instance: null,
    path: '/services/shop/providers/a',
    field: null,
    message: 'the node must contain a JSON object, like {"host":"10.0.1.7","port":8080}',
    since: AT,
    ...parts,
  };
}

/** A running drain of `targets`, [service, instance] each, with one request left on gw-a. */
export function makeOperation({
  targets = [['shop', '10.0.1.7:8080']],
  ...parts
}: Partial<OperationResource> & {
  readonly targets?: readonly (readonly [string, string])[];
} = {}): OperationResource {
  const waiting_for = ['gw-a has 1 open request'];
  return {
    id: 'op-1',
    kind: 'drain',
    state: 'running',
    result: null,
    by: 'local',
    reason: '',
    at: AT,
    deadline: null,
    on_timeout: 'wait',
    ended_at: null,
    gateways: { asked: ['gw-a', 'gw-b'], not_asked: [] },
    published: true,
    instances: targets.map(([service, id]) => ({
      service,
      id,
      drained: false,
      in_flight: { 'gw-a': 1, 'gw-b': 0 },
      waiting_for,
      result: null,
      requests_left: 1,
    })),
    waiting_for,
    ...parts,
  };
}

/** `running`, ended with `result`: drained to the last request, or given up with its open requests. */
export function ended(
  running: OperationResource,
  result: NonNullable<OperationResource['result']>,
): OperationResource {
  const drained = result === 'drained';
  return {
    ...running,
    state: 'done',
    result,
    ended_at: AT,
    waiting_for: drained ? [] : running.waiting_for,
    instances: running.instances.map((one) => ({
      ...one,
      result,
      drained,
      ...(drained ? { in_flight: { 'gw-a': 0, 'gw-b': 0 }, waiting_for: [], requests_left: 0 } : {}),
    })),
  };
}

/** A live gateway that follows everything. */
export function makeGateway(parts: Partial<GatewayResource> = {}): GatewayResource {
  return {
    id: 'gw-a',
    state: 'live',
    in_roster: true,
    since: AT,
    silent_ms: 200,
    host: 'edge-1',
    boot: 'b1',
    workers: 2,
    contracts: [1, 2],
    applied: { epoch: 7, generation: 12 },
    behind: 0,
    rejected: [],
    in_flight: 0,
    problems: [],
    ...parts,
  };
}
