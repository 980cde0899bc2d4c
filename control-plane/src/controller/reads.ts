import type { ControlPlane } from '../model/control_plane.js';
import {
  describeContract,
  describeGateways,
  describeOperation,
  describeOperations,
  describeIntents,
} from '../plan/describe_fleet.js';
import {
  describeEvents,
  describeInstance,
  describeInstances,
  describeService,
  describeSet,
} from '../plan/describe_service.js';
import { describeProblems } from '../plan/find_problems.js';
import { describeRoutes, testRoute } from '../plan/routes/describe.js';
import { presentConvergence, serviceNames, type World } from '../plan/world.js';
import type { Releases } from './releases/releases.js';

/** What the control plane shows of the world. */
export type Reads = Omit<
  ControlPlane,
  | 'readiness'
  | 'role'
  | 'viewAge'
  | 'caughtUp'
  | 'hasView'
  | 'controllers'
  | 'limits'
  | 'changed'
  | 'auditPage'
  | 'auditRecord'
  | 'copy'
  | 'mutate'
  | 'releases'
  | 'tokens'
  | 'consumers'
>;

/** The reads: each is computed from the world of the moment in which it is asked, and from what people did to releases. */
export function createReads(world: () => World, releases: Pick<Releases, 'eventsOf' | 'intents'>): Reads {
  return {
    services: () => {
      const now = world();
      return serviceNames(now).flatMap((service) => describeService(now, service) ?? []);
    },
    service: (service) => describeService(world(), service),
    instances: (service) => describeInstances(world(), service),
    instance: (service, id) => describeInstance(world(), service, id),
    set: (service) => describeSet(world(), service),
    convergence: (service) => presentConvergence(world(), service),
    events: (service) => describeEvents(world(), service, releases.eventsOf(service)),
    intents: () => [...describeIntents(world()), ...releases.intents()],
    neverHeard: () => {
      const { listed, listed_more: more = 0 } = world().witnesses.fleet;
      return listed.size + more;
    },
    routes: () => describeRoutes(world()),
    testRoute: (question) => testRoute(world(), question),
    problems: () => describeProblems(world()),
    gateways: () => describeGateways(world()),
    contract: () => describeContract(world()),
    operations: () => describeOperations(world()),
    operation: (id) => describeOperation(world(), id),
  };
}
