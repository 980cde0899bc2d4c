import type { Origin } from './origin.js';
import type { Problem } from './problem.js';
import type { ReleaseEvent, Verb } from './release.js';
import type { Gates } from './release_gates.js';
import type { Amount, Stragglers, Upgrade, WeightedStep } from './release_strategy.js';
import type { HashedPlan, ReleaseResource } from './release_resources.js';
import type { Result } from './result.js';

/*
 * What the API asks of the controller about releases.
 */

/** A weighted release that a client asks for; null = the default. */
export interface WeightedRequest {
  readonly kind: 'weighted';
  readonly steps: readonly WeightedStep[] | null;
}

/** A release in place that a client asks for; null = the default. */
export interface InPlaceRequest {
  readonly kind: 'in_place';
  readonly batch: Amount | null;
  readonly max_unavailable: Amount | null;
  readonly max_failed: number | null;
  readonly upgrade: Upgrade;
  readonly upgrade_timeout_ms: number | null;
  readonly drain_timeout_ms: number | null;
  readonly soak_ms: number | null;
  readonly stragglers: Stragglers | null;
}

/** The strategies that clients ask for, by kind. The file of another strategy adds its member here (`declare module`). */
export interface StrategyRequests {
  readonly weighted: WeightedRequest;
  readonly in_place: InPlaceRequest;
}
export type StrategyRequest = StrategyRequests[keyof StrategyRequests];

/** A release that a client asks for. */
export interface ReleaseRequest {
  readonly service: string;
  readonly target: string;
  readonly stable: string | null;
  /** Null = the default one, or as `like`. */
  readonly strategy: StrategyRequest | null;
  /** The id of a release of this service whose strategy is used again. */
  readonly like: string | null;
  readonly gates: Partial<Gates>;
  readonly deadline_ms: number | null;
  readonly start_deadline_ms: number | null;
  readonly min_ready: Amount | null;
  readonly supersede: boolean;
  /** The hash of the plan that the client saw; null = any plan. */
  readonly plan_hash: string | null;
}

/** The circumstances of a call. */
export interface ReleaseContext {
  readonly by: string;
  readonly origin: Origin;
  readonly reason: string;
  readonly dry_run: boolean;
  readonly force: boolean;
  readonly idempotency_key: string | null;
  /** Without quotes; null = not asked for, '0' = no release may run, '*' = whatever it is. */
  readonly if_match: string | null;
}

/** What a call did, or with `dry_run` would do. */
export interface ReleaseOutcome {
  readonly dry_run: boolean;
  /** False if it was so already. */
  readonly changed: boolean;
  /** What it does to pauses: which one it takes back, lies over, or leaves. */
  readonly notes: readonly string[];
  readonly release: ReleaseResource;
  readonly plan: HashedPlan;
}

/** Releases as the API sees them: reads are of one moment and never wait; `undefined` = no such thing. */
export interface ReleasePlane {
  /** The running ones of all services, by service. */
  running(): readonly ReleaseResource[];
  /** Newest first. */
  ofService(service: string): readonly ReleaseResource[] | undefined;
  byId(id: string): ReleaseResource | undefined;
  plan(id: string): HashedPlan | undefined;
  /** Oldest first. */
  events(id: string): readonly ReleaseEvent[] | undefined;
  begin(request: ReleaseRequest, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>>;
  move(id: string, verb: Verb, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>>;
}
