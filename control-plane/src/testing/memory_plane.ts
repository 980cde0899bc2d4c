import { OLDEST_FLEET } from '../model/contract.js';
import { isAsked, type AuditPage, type AuditQuery, type AuditRecord } from '../model/audit.js';
import type { RouteQuestion, RouteResource, RouteTestResource } from '../model/route_resources.js';
import type { ControlPlane } from '../model/control_plane.js';
import type { Problem } from '../model/problem.js';
import type {
  ContractResource,
  ControllerResource,
  Convergence,
  GatewayResource,
  InstanceResource,
  LimitResource,
  OperationResource,
  IntentResource,
  ProblemResource,
  ServiceEvent,
  ServiceResource,
  SetResource,
} from '../model/resources.js';
import type {
  Mutation,
  MutationContext,
  MutationResource,
  PlannedChange,
  Selector,
} from '../model/mutation.js';
import type { ReadinessResource } from '../model/readiness.js';
import { err, ok, type Result } from '../model/result.js';
import { beyond } from '../model/role.js';
import { MemoryReleases } from './memory_releases.js';
import { isOfConsumers, MemoryConsumers } from './memory_consumers.js';
import { MemoryTokens } from './memory_tokens.js';
import { makeInstance, makeOperation, makeReadiness, makeService } from './resources.js';

/** One call of `mutate`, as it arrived. */
export interface Mutated {
  readonly mutation: Mutation;
  readonly context: MutationContext;
}

/**
 * A control plane without a controller, for tests of what is in front of it. Tests fill the maps, look at
 * `mutated`, and call `change` so that waits wake. Its mutations do just enough to be seen.
 */
export class MemoryPlane implements ControlPlane {
  ready: ReadinessResource = makeReadiness();
  view = true;
  age: number | null = 0;
  /** How often `caughtUp` was asked. */
  catchUps = 0;
  readonly mutated: Mutated[] = [];
  /** The next mutations answer this. */
  refusal: Problem | null = null;
  readonly serviceMap = new Map<string, ServiceResource>();
  readonly instanceMap = new Map<string, InstanceResource[]>();
  readonly setMap = new Map<string, SetResource>();
  readonly convergenceMap = new Map<string, Convergence>();
  readonly eventMap = new Map<string, ServiceEvent[]>();
  readonly limitMap = new Map<string, readonly LimitResource[]>();
  readonly operationMap = new Map<string, OperationResource>();
  readonly releases = new MemoryReleases();
  readonly tokens = new MemoryTokens();
  readonly consumers = new MemoryConsumers();
  intentList: IntentResource[] = [];
  problemList: ProblemResource[] = [];
  routeList: RouteResource[] = [];
  gatewayList: GatewayResource[] = [];
  /** Null = ZooKeeper does not say. */
  controllerList: ControllerResource[] | null = [];
  auditList: AuditRecord[] = [];
  /** What was asked of the audit. */
  readonly asked: AuditQuery[] = [];
  private readonly waiters = new Set<() => void>();
  private readonly keys = new Map<string, { request: string; outcome: MutationResource }>();

  /** How many waits listen to the plane now. */
  get waiting(): number {
    return this.waiters.size;
  }

  readiness(): ReadinessResource {
    return this.ready;
  }
  role(): ReadinessResource['controller']['state'] {
    return this.ready.controller.state;
  }
  copyText: string | null = null;
  copiedWithTokens: boolean | null = null;
  copy({ tokens }: { readonly tokens: boolean }): Promise<Result<string, string>> {
    this.copiedWithTokens = tokens;
    return Promise.resolve(this.copyText === null ? err('nothing was read yet') : ok(this.copyText));
  }
  viewAge(): number | null {
    return this.age;
  }
  caughtUp(): Promise<void> {
    this.catchUps += 1;
    return Promise.resolve();
  }
  hasView(): boolean {
    return this.view;
  }
  services(): readonly ServiceResource[] {
    return [...this.serviceMap.values()];
  }
  service(service: string): ServiceResource | undefined {
    return this.serviceMap.get(service);
  }
  instances(service: string): readonly InstanceResource[] | undefined {
    return this.instanceMap.get(service);
  }
  instance(service: string, id: string): InstanceResource | undefined {
    return this.instanceMap.get(service)?.find((candidate) => candidate.id === id);
  }
  set(service: string): SetResource | undefined {
    return this.setMap.get(service);
  }
  convergence(service: string): Convergence | undefined {
    return this.convergenceMap.get(service);
  }
  limits(service: string): Promise<Result<readonly LimitResource[] | undefined, string>> {
    const limits = this.limitMap.get(service);
    return Promise.resolve(ok(limits ?? (this.serviceMap.has(service) ? [] : undefined)));
  }
  events(service: string): readonly ServiceEvent[] | undefined {
    return this.eventMap.get(service) ?? (this.serviceMap.has(service) ? [] : undefined);
  }
  intents(): readonly IntentResource[] {
    return this.intentList;
  }
  controllers(): Promise<Result<readonly ControllerResource[], string>> {
    const list = this.controllerList;
    return Promise.resolve(list === null ? err('no connection') : ok(list));
  }
  neverHeard(): number {
    return this.gateways().filter((one) => one.state === 'never_heard').length;
  }
  routes(): readonly RouteResource[] {
    return this.routeList;
  }
  testRoute({ method, url }: RouteQuestion): Result<RouteTestResource, Problem> {
    const [route = null] = this.routeList;
    if (url === '/%') return err({ code: 'invalid_request', field: 'query.url', detail: 'query.url is bad' });
    return ok({
      request: { method, host: '', path: url, query: '' },
      ...{
        route,
        why: ['any host'],
        others: this.routeList.slice(1).map((one) => ({ route: one, why: ['no'] })),
      },
    });
  }
  problems(): readonly ProblemResource[] {
    return this.problemList;
  }
  contract(): ContractResource {
    return OLDEST_FLEET;
  }
  gateways(): readonly GatewayResource[] {
    return this.gatewayList;
  }
  operations(): readonly OperationResource[] {
    return [...this.operationMap.values()].reverse();
  }
  operation(id: string): OperationResource | undefined {
    return this.operationMap.get(id);
  }

  auditPage(query: AuditQuery): Promise<Result<AuditPage, string>> {
    this.asked.push(query);
    const { before, limit } = query;
    const found = this.auditList.filter((one) => one.n < (before ?? Infinity) && isAsked(one, query));
    const items = found.slice(0, limit);
    return Promise.resolve(ok({ items, next: found.length > limit ? (items.at(-1)?.n ?? null) : null }));
  }
  auditRecord(n: number): Promise<Result<AuditRecord | null, string>> {
    return Promise.resolve(ok(this.auditList.find((one) => one.n === n) ?? null));
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiters.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      if (signal.aborted) {
        resolve();
        return;
      }
      this.waiters.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  /** Changes something and wakes every wait. */
  change(edit: (plane: this) => void): void {
    edit(this);
    for (const wake of [...this.waiters]) wake();
  }

  /** Adds a service with instances of the given ids, each at weight 100. */
  add(service: string, ids: readonly string[], parts: Partial<InstanceResource> = {}): this {
    this.serviceMap.set(service, makeService({ service, total: ids.length }));
    this.instanceMap.set(
      service,
      ids.map((id) => makeInstance({ ...parts, service, id })),
    );
    return this;
  }

  mutate(mutation: Mutation, context: MutationContext): Promise<Result<MutationResource, Problem>> {
    this.mutated.push({ mutation, context });
    return Promise.resolve(this.decide(mutation, context));
  }

  private decide(mutation: Mutation, context: MutationContext): Result<MutationResource, Problem> {
    if (this.refusal) return err(this.refusal);
    const request = JSON.stringify(mutation);
    const known = context.idempotency_key === null ? undefined : this.keys.get(context.idempotency_key);
    if (known)
      return known.request === request
        ? ok(known.outcome)
        : err({ code: 'idempotency_conflict', detail: 'the key was used for another request' });
    const service =
      'selector' in mutation
        ? mutation.selector.service
        : 'service' in mutation
          ? mutation.service
          : undefined;
    const etag = service === undefined ? null : (this.serviceMap.get(service)?.etag ?? null);
    if (service !== undefined && !this.serviceMap.has(service))
      return err({ code: 'not_found', detail: `there is no service ${service}` });
    if (context.if_match !== null && context.if_match !== '*' && context.if_match !== (etag ?? '0'))
      return err({ code: 'precondition_failed', detail: `the etag is ${etag ?? '0'} now` });
    const outcome = this.apply(mutation, context);
    if (outcome.ok && context.idempotency_key !== null && !context.dry_run)
      this.keys.set(context.idempotency_key, { request, outcome: outcome.value });
    return outcome;
  }

  private apply(mutation: Mutation, context: MutationContext): Result<MutationResource, Problem> {
    if (mutation.kind === 'cancel_operation' && !this.operationMap.has(mutation.id))
      return err({ code: 'not_found', detail: `there is no operation ${mutation.id}` });
    const isOfTokens = mutation.kind === 'create_token' || mutation.kind === 'revoke_token';
    const ofTokens = isOfTokens ? this.tokens.change(mutation, context) : null;
    if (ofTokens?.ok === false) return ofTokens;
    const ofConsumers = isOfConsumers(mutation) ? this.consumers.change(mutation, context) : null;
    if (ofConsumers?.ok === false) return ofConsumers;
    const own = ofTokens ?? ofConsumers;
    const changes = own ? [own.value] : this.planned(mutation);
    if ('selector' in mutation && changes.length === 0)
      return err({ code: 'not_found', detail: 'the selector finds no instance' });
    const touched = own ? [] : [...new Set(changes.map((change) => change.service))];
    const foreign = beyond(context.services, touched);
    if (foreign) return err(foreign);
    if (!context.dry_run)
      this.change(() => {
        for (const service of touched) this.bump(service);
      });
    const operation =
      mutation.kind === 'drain' && !context.dry_run ? this.startDrain(mutation, changes, context) : null;
    if (mutation.kind === 'patch_spec' && !context.dry_run) this.patchSpec(mutation);
    return ok({
      dry_run: context.dry_run,
      changes,
      guards: [],
      blockers: [],
      operation,
      published: true,
      etags: Object.fromEntries(touched.map((name) => [name, this.serviceMap.get(name)?.etag ?? '0'])),
    });
  }

  private planned(mutation: Mutation): PlannedChange[] {
    const line = (service: string, instance: string | null, field: string, to: string): PlannedChange => ({
      service,
      instance,
      field,
      from: 'before',
      to,
    });
    switch (mutation.kind) {
      case 'patch_spec':
        return Object.entries(mutation.spec).map(([k, v]) =>
          line(mutation.service, null, k, JSON.stringify(v)),
        );
      case 'set_weights':
        return Object.entries(mutation.weights).map(([k, v]) =>
          line(mutation.service, k, 'weight', String(v)),
        );
      case 'set_versions':
        return Object.entries(mutation.versions).map(([k, v]) => line(mutation.service, null, k, String(v)));
      case 'drain':
      case 'undrain':
      case 'isolate':
      case 'restore':
        return this.select(mutation.selector).map((found) =>
          line(found.service, found.id, 'state', mutation.kind),
        );
      default:
        return [];
    }
  }

  private select(selector: Selector): InstanceResource[] {
    return [...this.instanceMap.values()]
      .flat()
      .filter(
        (found) =>
          (selector.service === undefined || found.service === selector.service) &&
          (selector.ids === undefined || selector.ids.includes(found.id)) &&
          (selector.version === undefined || found.version === selector.version) &&
          (selector.host === undefined || found.host === selector.host) &&
          (selector.zone === undefined || found.zone === selector.zone),
      );
  }

  private startDrain(
    mutation: Extract<Mutation, { kind: 'drain' }>,
    changes: readonly PlannedChange[],
    context: MutationContext,
  ): OperationResource {
    const operation = makeOperation({
      id: `op-${String(this.operationMap.size + 1)}`,
      by: context.by,
      reason: context.reason,
      on_timeout: mutation.on_timeout,
      targets: changes.map(({ service, instance }) => [service, instance ?? '']),
    });
    this.change(() => this.operationMap.set(operation.id, operation));
    return operation;
  }

  private patchSpec(mutation: Extract<Mutation, { kind: 'patch_spec' }>): void {
    const before = this.serviceMap.get(mutation.service);
    if (!before) return;
    const given = Object.fromEntries(Object.entries(mutation.spec).filter(([, value]) => value !== null));
    this.serviceMap.set(mutation.service, {
      ...before,
      spec: { ...before.spec, ...given },
    });
  }

  private bump(service: string): void {
    const before = this.serviceMap.get(service);
    if (!before) return;
    const version = Number(before.etag?.split('-')[1] ?? '0') + 1;
    this.serviceMap.set(service, { ...before, etag: `17-${String(version)}` });
  }
}
