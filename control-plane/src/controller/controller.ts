import type { FleetReport, RosterEntry } from '../model/gateway.js';
import type { StoredIntent } from '../model/intent.js';
import type {
  Clock,
  ConsumerRegistration,
  ControlPlane,
  Feedback,
  IntentStore,
  Lifecycle,
  LinkState,
  Log,
  Office,
  Publisher,
  RegistrySource,
  RosterStore,
} from '../model/ports.js';
import type { Problem } from '../model/problem.js';
import type {
  Convergence,
  GatewayResource,
  InstanceResource,
  Mutation,
  MutationContext,
  MutationResource,
  OperationResource,
  OverrideResource,
  ReadinessResource,
  ServiceEvent,
  ServiceResource,
  SetResource,
} from '../model/resources.js';
import type { Result } from '../model/result.js';
import type { CompiledService } from '../plan/compile.js';
import {
  describeGateways,
  describeOperation,
  describeOperations,
  describeOverrides,
} from '../plan/describe_fleet.js';
import {
  describeEvents,
  describeInstance,
  describeInstances,
  describeService,
  describeSet,
} from '../plan/describe_service.js';
import { DEFAULT_RULES } from '../plan/membership.js';
import { convergenceOf } from '../plan/proof.js';
import { publishedAt, serviceNames, type World } from '../plan/world.js';
import { DesiredState } from './desired_state.js';
import { mutateGateway, mutateServices, type MutationDesk } from './mutations.js';
import { Pacer } from './pacer.js';
import { Publication } from './publication.js';
import { readinessOf } from './readiness.js';
import { upkeep } from './upkeep.js';

/** Everything the controller stands on; main.ts hands the implementations in. */
export interface ControllerDeps {
  readonly registry: RegistrySource;
  readonly office: Office;
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly consumers: ConsumerRegistration;
  readonly publisher: Publisher;
  readonly feedback: Feedback;
  readonly zookeeper: () => LinkState;
  readonly clock: Clock;
  readonly log: Log;
  /** A fresh operation id. */
  readonly newId: () => string;
  readonly settings: ControllerSettings;
}

/** Milliseconds. */
export interface ControllerSettings {
  readonly settleMs: number;
  readonly suspectMs: number;
  readonly gatewaySilentMs: number;
  readonly drainTimeoutMs: number;
}

/** Silence is noticed within this, whatever else happens. */
const TICK_MS = 500;

/**
 * The shell around the plan. Sources push their newest state into it; one loop recomputes everything from full state,
 * publishes what differs, and records what has ended. A notification that was lost costs latency, never correctness.
 */
export class Controller implements ControlPlane, Lifecycle {
  readonly #deps: ControllerDeps;
  readonly #pacer: Pacer;
  readonly #desired: DesiredState;
  readonly #publication: Publication;
  readonly #stop = new AbortController();
  #intents: ReadonlyMap<string, StoredIntent> | null = null;
  #roster: ReadonlyMap<string, RosterEntry> | null = null;
  #fleet: FleetReport | null = null;
  #compiled: ReadonlyMap<string, CompiledService> = new Map();
  #loop: Promise<void> | null = null;
  #passesBegun = 0;
  #passesEnded = 0;
  #watchers = new Set<() => void>();

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#pacer = new Pacer(() => deps.clock.monotonic());
    this.#desired = new DesiredState({
      ...DEFAULT_RULES,
      settle_ms: deps.settings.settleMs,
      suspect_ms: deps.settings.suspectMs,
    });
    this.#publication = new Publication({
      publisher: deps.publisher,
      office: deps.office,
      clock: deps.clock,
      log: deps.log,
      highestHeard: () => this.#highestHeard(),
      onFirstRead: (published) => {
        this.#desired.remember(published, deps.clock.monotonic());
      },
    });
  }

  async start(): Promise<void> {
    const { registry, intents, roster, consumers, publisher, feedback, clock } = this.#deps;
    registry.onState((state) => {
      this.#desired.take(state, clock.monotonic());
      this.#pacer.wake();
    });
    intents.onChange((newest) => {
      this.#intents = newest;
      this.#pacer.wake();
    });
    roster.onChange((newest) => {
      this.#roster = newest;
      this.#pacer.wake();
    });
    feedback.onReport((report) => {
      this.#fleet = report;
      this.#pacer.wake();
    });
    publisher.onDoubt((reason) => {
      this.#publication.doubt(reason);
      this.#pacer.wake();
    });
    for (const part of [publisher, feedback, intents, roster, registry, consumers]) await part.start();
    this.#loop = this.#run(this.#stop.signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    this.#notify();
    const { registry, intents, roster, consumers, publisher, feedback } = this.#deps;
    for (const part of [consumers, registry, roster, intents, feedback, publisher]) await part.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (await this.#pacer.next(signal)) {
      this.#passesBegun += 1;
      try {
        await this.#pass();
      } catch (error) {
        // A bug in one pass must not end the loop: the next pass starts from full state again.
        this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, 'a pass failed');
      }
      this.#passesEnded = this.#passesBegun;
      this.#notify();
    }
  }

  /** One reconcile pass: everything from full state, in the order of the data's way. */
  async #pass(): Promise<void> {
    const { clock, settings } = this.#deps;
    const prepared = await this.#publication.prepare();
    const intents = this.#intents;
    if (intents && this.#desired.view) {
      this.#desired.observe(intents, clock.monotonic(), clock.wall());
      const { documents, compiled } = this.#desired.compile(intents, clock.wall());
      this.#compiled = compiled;
      if (prepared) await this.#publication.publishAll(documents);
      await upkeep(this.#world(), {
        ...this.#deps,
        term: this.#publication.term,
        fence: () => {
          this.#publication.fence();
        },
        doubt: (reason) => {
          this.#publication.doubt(reason);
        },
        drop: (service, ids) => {
          this.#desired.drop(service, ids);
          this.#pacer.wake();
        },
      });
    }
    this.#pacer.wakeAt(clock.monotonic() + Math.min(TICK_MS, settings.gatewaySilentMs / 3));
    this.#pacer.wakeAt(this.#desired.wakeAt);
    this.#pacer.wakeAt(this.#publication.retryAt);
    if (this.#publication.state === 'unread' || this.#publication.state === 'read')
      this.#pacer.wakeAt(clock.monotonic() + 50);
  }

  #highestHeard(): number {
    const epochs = [...(this.#fleet?.heard.values() ?? [])].map(
      (heard) => heard.heartbeat.applied?.epoch ?? 0,
    );
    return Math.max(0, ...epochs);
  }

  #world(): World {
    const { clock, settings } = this.#deps;
    return {
      wall: clock.wall(),
      epoch: this.#publication.term?.epoch ?? null,
      membership: this.#desired.membership,
      intents: this.#intents ?? new Map(),
      compiled: this.#compiled,
      published: this.#publication.published,
      protections: this.#desired.protections,
      problems: this.#desired.view?.problems ?? [],
      clashes: this.#desired.clashes,
      recent: this.#desired.recent,
      witnesses: {
        roster: this.#roster ?? new Map(),
        fleet: this.#fleet ?? { complete: false, heard: new Map() },
        now: clock.monotonic(),
        silent_ms: settings.gatewaySilentMs,
        complete: this.#roster !== null && this.#fleet?.complete === true,
      },
    };
  }

  #notify(): void {
    const watchers = this.#watchers;
    this.#watchers = new Set();
    for (const watcher of watchers) watcher();
  }

  /** Resolves once a pass that begins from now on has ended, or after `ms`. */
  async #passed(ms: number): Promise<void> {
    const target = this.#passesBegun + 1;
    const deadline = AbortSignal.any([AbortSignal.timeout(ms), this.#stop.signal]);
    this.#pacer.urge();
    while (this.#passesEnded < target && !deadline.aborted) await this.changed(deadline);
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end);
        this.#watchers.delete(end);
        resolve();
      };
      if (signal.aborted || this.#stop.signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener('abort', end, { once: true });
      this.#watchers.add(end);
    });
  }

  async mutate(mutation: Mutation, context: MutationContext): Promise<Result<MutationResource, Problem>> {
    const desk: MutationDesk = {
      deps: this.#deps,
      term: () => this.#publication.term,
      fenced: () => this.#publication.state === 'fenced',
      fence: () => {
        this.#publication.fence();
      },
      known: () => this.hasView(),
      world: () => this.#world(),
      settled: () => this.#passed(1_500),
      stands: (service) => this.#setStands(service),
    };
    switch (mutation.kind) {
      case 'forget_gateway':
      case 'leave_gateway':
        return mutateGateway(desk, mutation, context);
      default:
        return mutateServices(desk, mutation, context);
    }
  }

  #setStands(service: string): boolean {
    const intents = this.#intents;
    if (!intents) return false;
    const wanted = this.#desired.compile(intents, this.#deps.clock.wall()).documents.get(service);
    return wanted !== undefined && this.#publication.stands(service, wanted.hash);
  }

  hasView(): boolean {
    return this.#desired.view !== null && this.#intents !== null;
  }
  readiness(): ReadinessResource {
    const { clock, publisher, feedback, zookeeper } = this.#deps;
    return readinessOf({
      wall: clock.wall(),
      publication: this.#publication,
      hasView: this.hasView(),
      registryTrouble: this.#desired.trouble,
      zookeeper: zookeeper(),
      publisher: publisher.state(),
      feedback: feedback.state(),
    });
  }
  services(): readonly ServiceResource[] {
    const world = this.#world();
    return serviceNames(world).flatMap((service) => describeService(world, service) ?? []);
  }
  service(service: string): ServiceResource | undefined {
    return describeService(this.#world(), service);
  }
  instances(service: string): readonly InstanceResource[] | undefined {
    return describeInstances(this.#world(), service);
  }
  instance(service: string, id: string): InstanceResource | undefined {
    return describeInstance(this.#world(), service, id);
  }
  set(service: string): SetResource | undefined {
    return describeSet(this.#world(), service);
  }
  convergence(service: string): Convergence | undefined {
    const world = this.#world();
    const position = publishedAt(world, service);
    return position ? convergenceOf(service, position, world.witnesses) : undefined;
  }
  events(service: string): readonly ServiceEvent[] | undefined {
    return describeEvents(this.#world(), service);
  }
  overrides(): readonly OverrideResource[] {
    return describeOverrides(this.#world());
  }
  gateways(): readonly GatewayResource[] {
    return describeGateways(this.#world());
  }
  operations(): readonly OperationResource[] {
    return describeOperations(this.#world());
  }
  operation(id: string): OperationResource | undefined {
    return describeOperation(this.#world(), id);
  }
}
