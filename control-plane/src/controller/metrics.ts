import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { ControlPlane } from '../model/control_plane.js';
import type { StandingHold } from '../model/hold.js';
import type { ServiceResource } from '../model/resources.js';

const PROCESS = 'ebbgate_controller_';
/** The histogram of the event loop's lag: its timer would wake the process a hundred times a second. */
const LAG_HISTOGRAM = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (part) => `${PROCESS}nodejs_eventloop_lag_${part}_seconds`,
);
/** The longest that a timer waits. */
const NEVER_MS = 2_147_483_647;

/** The metrics of the process, but for what costs more than everything else that an idle controller does. */
function collectOfProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry, prefix: PROCESS, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of LAG_HISTOGRAM) registry.removeSingleMetric(name);
}

/**
 * The controller's own metrics in Prometheus' text format, read from the control plane at each scrape: a service or gateway
 * that is gone leaves no series behind. `certificateEnds`: when the certificate of the API does, in Unix milliseconds; null = it has none.
 */
export function createMetrics(
  plane: ControlPlane,
  certificateEnds: () => number | null = () => null,
): () => Promise<string> {
  const registry = new Registry();
  collectOfProcess(registry);
  let read: readonly ServiceResource[] | null = null;
  /** All services, read once a scrape: they are many. */
  const services = (): readonly ServiceResource[] => (read ??= plane.services());
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (self: Gauge) => void,
  ): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect: () => {
        made.reset();
        collect(made);
      },
    });
  };
  gauge(
    'ebbgate_controller_ready',
    '1 while it has a complete view and can write both stores, and leads or is a standby',
    [],
    (self) => {
      self.set(plane.readiness().ready ? 1 : 0);
    },
  );
  gauge('ebbgate_controller_leading', '1 while it leads and may publish', [], (self) => {
    self.set(plane.role() === 'leading' ? 1 : 0);
  });
  gauge(
    'ebbgate_controller_epoch',
    "The epoch this controller publishes under, or of a standby the leader's",
    [],
    (self) => {
      self.set(plane.readiness().controller.epoch ?? 0);
    },
  );
  gauge('ebbgate_controller_data_loss', '1 while a data loss of ZooKeeper waits for a person', [], (self) => {
    self.set(plane.readiness().data_loss === null ? 0 : 1);
  });
  gauge(
    'ebbgate_api_certificate_expiry_timestamp_seconds',
    'When the certificate of the control API ends; no sample without TLS',
    [],
    (self) => {
      const ends = certificateEnds();
      if (ends !== null) self.set(ends / 1_000);
    },
  );
  gauge(
    'ebbgate_controller_clock_in_sync',
    '1 while the clock agrees with those of ZooKeeper and Redis; else nothing expires',
    [],
    (self) => {
      self.set(plane.readiness().clock.state === 'in_sync' ? 1 : 0);
    },
  );
  gauge(
    'ebbgate_controller_clock_ahead_seconds',
    "How far the controller's clock is ahead of a store's",
    ['store'],
    (self) => {
      for (const [store, ms] of Object.entries(plane.readiness().clock.ahead_ms))
        self.set({ store }, ms / 1_000);
    },
  );
  gauge('ebbgate_instances', 'Instances in the published set', ['service', 'state'], (self) => {
    for (const { service, instances } of services())
      for (const [state, count] of Object.entries(instances))
        if (state !== 'total' && count !== null) self.set({ service, state }, count);
  });
  gauge('ebbgate_service_problems', 'Problems of the service, notes aside', ['service'], (self) => {
    for (const { service, problems } of services())
      self.set({ service }, problems.filter(({ severity }) => severity === 'error').length);
  });
  gauge(
    'ebbgate_problems',
    'Problems that are there now; no service: of none, or of one whose name is not taken',
    ['service', 'code', 'severity'],
    (self) => {
      for (const { service, code, severity } of plane.problems())
        self.inc({ service: service ?? '', code, severity });
    },
  );
  /** Every hold with its service; a data loss holds all of them. */
  const holds = (): readonly (Pick<StandingHold, 'kind' | 'until'> & { service: string; kept: number })[] => [
    ...(plane.readiness().data_loss === null
      ? []
      : [{ service: '', kind: 'data_loss' as const, until: null, kept: 0 }]),
    ...services().flatMap(({ service, holds: those }) =>
      those.map(({ kind, until, instances }) => ({ service, kind, until, kept: instances.length })),
    ),
  ];
  gauge(
    'ebbgate_hold_ends_timestamp_seconds',
    'When what keeps vanished instances in use ends; +Inf: when somebody speaks',
    ['service', 'kind'],
    (self) => {
      for (const { service, kind, until } of holds())
        self.set({ service, kind }, until === null ? Infinity : Date.parse(until) / 1_000);
    },
  );
  gauge(
    'ebbgate_held_instances',
    'Instances whose registrations vanished and that stay in use',
    ['service', 'kind'],
    (self) => {
      for (const { service, kind, kept } of holds()) if (service !== '') self.set({ service, kind }, kept);
    },
  );
  gauge('ebbgate_service_converged', '1 while every gateway obeys the present set', ['service'], (self) => {
    for (const { service, convergence } of services()) self.set({ service }, convergence?.converged ? 1 : 0);
  });
  gauge(
    'ebbgate_gateway_live',
    '1 while the gateway is heard, 0 while it is unknown',
    ['gateway'],
    (self) => {
      for (const { id, state } of plane.gateways())
        if (state !== 'never_heard') self.set({ gateway: id }, state === 'live' ? 1 : 0);
    },
  );
  gauge(
    'ebbgate_contract_version',
    'The version of the set document that sets are written in',
    [],
    (self) => {
      self.set(plane.contract().version);
    },
  );
  gauge(
    'ebbgate_gateway_contract_version',
    'The highest version of the set document that the gateway understands, as it said last',
    ['gateway'],
    (self) => {
      for (const { id, contracts } of plane.gateways())
        if (contracts !== null) self.set({ gateway: id }, Math.max(0, ...contracts));
    },
  );
  gauge(
    'ebbgate_gateways_never_heard',
    'Names that Redis lists as gateways and that were never heard; they block nothing',
    [],
    (self) => {
      self.set(plane.neverHeard());
    },
  );
  gauge('ebbgate_operations_running', 'Drains that have no result yet', [], (self) => {
    self.set(plane.operations().filter((one) => one.state === 'running').length);
  });
  gauge('ebbgate_intents', 'Intents of operators that are in force', ['kind'], (self) => {
    for (const { kind } of plane.intents()) self.inc({ kind });
  });
  gauge(
    'ebbgate_release',
    '1 for the newest release of a service, by its state',
    ['service', 'target', 'state'],
    (self) => {
      for (const { service } of services()) {
        const newest = plane.releases.ofService(service)?.[0];
        if (newest) self.set({ service, target: newest.target, state: newest.state }, 1);
      }
    },
  );
  return async () => {
    read = null;
    const text = await registry.metrics();
    read = null;
    return text;
  };
}
