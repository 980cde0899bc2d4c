import type { RouteQuestion, RouteResource, RouteTestResource } from './route_resources.js';
import type { ConsumerPlane } from './api_consumer.js';
import type { AuditPage, AuditQuery, AuditRecord } from './audit.js';
import type { Mutation, MutationContext, MutationResource } from './mutation.js';
import type { Problem } from './problem.js';
import type { ReadinessResource } from './readiness.js';
import type { ReleasePlane } from './release_plane.js';
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
} from './resources.js';
import type { Result } from './result.js';
import type { TokenPlane } from './token.js';

/** A request for a change, as it came in. */
export interface ForwardedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What another controller answered. */
export interface ForwardedAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Why there is no answer, and whether the request may have been carried out nevertheless. */
export interface NoAnswer {
  readonly reason: string;
  readonly maybe: boolean;
}

/** Sends a request to the API of another controller at `address`. Ends when `signal` aborts, and within about a minute. */
export type ForwardTo = (
  address: string,
  request: ForwardedRequest,
  signal: AbortSignal,
) => Promise<Result<ForwardedAnswer, NoAnswer>>;

/** The controller as the API sees it: reads are of one moment and never wait; `undefined` = no such thing. */
export interface ControlPlane {
  readiness(): ReadinessResource;
  /** As `readiness` says it, for every answer. */
  role(): ReadinessResource['controller']['state'];
  /** How old what the reads show may be, in milliseconds; null = unknown, since a store does not answer. */
  viewAge(): number | null;
  /** Resolves once the reads show all that was changed before the call, or after about 2 s. Never rejects. */
  caughtUp(): Promise<void>;
  /** False until a first complete view exists: reads then answer `not_ready`. */
  hasView(): boolean;
  services(): readonly ServiceResource[];
  service(service: string): ServiceResource | undefined;
  instances(service: string): readonly InstanceResource[] | undefined;
  instance(service: string, id: string): InstanceResource | undefined;
  set(service: string): SetResource | undefined;
  convergence(service: string): Convergence | undefined;
  events(service: string): readonly ServiceEvent[] | undefined;
  /** With what the gateways counted of late, which is read from Redis when it is asked. */
  limits(service: string): Promise<Result<readonly LimitResource[] | undefined, string>>;
  intents(): readonly IntentResource[];
  /** As published, the first that is asked first. */
  routes(): readonly RouteResource[];
  /** A failure names the part of the question that no gateway would take. */
  testRoute(question: RouteQuestion): Result<RouteTestResource, Problem>;
  /** Everything that is wrong now, of all services and of none. */
  problems(): readonly ProblemResource[];
  gateways(): readonly GatewayResource[];
  contract(): ContractResource;
  /** Those that run, the leader first; a failure says why ZooKeeper does not say. */
  controllers(): Promise<Result<readonly ControllerResource[], string>>;
  /** How many names Redis lists that were never heard; `gateways` shows the first of them. */
  neverHeard(): number;
  /** Newest first. */
  operations(): readonly OperationResource[];
  operation(id: string): OperationResource | undefined;
  /** Resolves at the next change of anything the reads above show, or when `signal` aborts. Never rejects. */
  changed(signal: AbortSignal): Promise<void>;
  /** Every change that somebody asked for, newest first. Read from ZooKeeper when it is asked. */
  auditPage(query: AuditQuery): Promise<Result<AuditPage, string>>;
  auditRecord(n: number): Promise<Result<AuditRecord | null, string>>;
  /** What is decided, all of it, and the newest of the audit, as one document; with the tokens if they are asked for. */
  copy(asked: { readonly tokens: boolean }): Promise<Result<string, string>>;
  mutate(mutation: Mutation, context: MutationContext): Promise<Result<MutationResource, Problem>>;
  readonly releases: ReleasePlane;
  readonly tokens: TokenPlane;
  readonly consumers: ConsumerPlane;
}
