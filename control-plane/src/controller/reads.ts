import type {
  Convergence,
  GatewayResource,
  InstanceResource,
  OperationResource,
  IntentResource,
  ProblemResource,
  ServiceEvent,
  ServiceResource,
  SetResource,
} from '../model/resources.js';
import {
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
import { presentConvergence, serviceNames, type World } from '../plan/world.js';

/** The reads of the control plane: each is computed from the world of the moment in which it is asked, and from nothing else. */
export abstract class WorldReads {
  /** Everything that is known now. */
  protected abstract world(): World;

  services(): readonly ServiceResource[] {
    const world = this.world();
    return serviceNames(world).flatMap((service) => describeService(world, service) ?? []);
  }
  service(service: string): ServiceResource | undefined {
    return describeService(this.world(), service);
  }
  instances(service: string): readonly InstanceResource[] | undefined {
    return describeInstances(this.world(), service);
  }
  instance(service: string, id: string): InstanceResource | undefined {
    return describeInstance(this.world(), service, id);
  }
  set(service: string): SetResource | undefined {
    return describeSet(this.world(), service);
  }
  convergence(service: string): Convergence | undefined {
    return presentConvergence(this.world(), service);
  }
  events(service: string): readonly ServiceEvent[] | undefined {
    return describeEvents(this.world(), service);
  }
  intents(): readonly IntentResource[] {
    return describeIntents(this.world());
  }
  neverHeard(): number {
    const { listed, listed_more: more = 0 } = this.world().witnesses.fleet;
    return listed.size + more;
  }
  problems(): readonly ProblemResource[] {
    return describeProblems(this.world());
  }
  gateways(): readonly GatewayResource[] {
    return describeGateways(this.world());
  }
  operations(): readonly OperationResource[] {
    return describeOperations(this.world());
  }
  operation(id: string): OperationResource | undefined {
    return describeOperation(this.world(), id);
  }
}
