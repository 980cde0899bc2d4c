import type { Freeze } from './freeze.js';
import type { Asked } from './gateway.js';
import type { Breaker, BreakerState } from './breaker.js';
import type { Concurrency } from './concurrency.js';
import type { Limit } from './limit.js';
import type { RouteSpec } from './route.js';
import type { Auth } from './auth.js';
import type { Balancer, Health, HealthCheck, Retry, Timeouts, Upstream } from './set.js';

/** What operators decided for a service. Every field is optional: absent means the default. */
export interface ServiceSpec {
  readonly routes?: readonly RouteSpec[];
  readonly balancer?: Partial<Balancer>;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: Partial<Retry>;
  readonly health?: Partial<Omit<Health, 'check'>> & { readonly check?: Partial<HealthCheck> };
  readonly breaker?: Partial<Breaker>;
  readonly auth?: Partial<Auth>;
  readonly concurrency?: Partial<Concurrency>;
  readonly limits?: readonly Limit[];
  readonly upstream?: Partial<Upstream>;
  /** Guards refuse what would leave fewer eligible instances. Default 1. */
  readonly min_available?: number;
  /** While nobody of a version with a share takes requests, the version before serves (`fallback` of the record). Default true. */
  readonly version_fallback?: boolean;
}

export type IntentState = 'draining' | 'isolated' | 'cut';

/** Who decided something, why, when and until when. Times are RFC 3339. */
export interface Decided {
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** After this moment it is ignored and cleared. */
  readonly expires?: string;
}

/** A drain, as it lies below an isolation. */
export interface CoveredDrain extends Decided {
  readonly state: 'draining' | 'cut';
  readonly keep_sticky_until?: string;
  readonly op?: string;
}

/**
 * What people decided for one instance; it outlives the registration. `plan/layers.ts` reads it: `state`, the author and
 * the expiry beside it are those of the uppermost layer.
 */
export interface InstanceIntent extends Decided {
  readonly state?: IntentState;
  /** Replaces the registered weight. 0 … 10000. */
  readonly weight?: number;
  /** Replaces the registered `backup`. */
  readonly backup?: boolean;
  /** Until then a drain leaves it to the clients that are bound to it by cookie. */
  readonly keep_sticky_until?: string;
  /** The operation that set `state`. */
  readonly op?: string;
  /** The drain that an isolation lies over. */
  readonly covered?: CoveredDrain;
  /** Who set `weight`, where that is not who decided the uppermost layer. */
  readonly weight_by?: Decided;
  /** The same of `backup`. */
  readonly backup_by?: Decided;
}

export type OnTimeout = 'wait' | 'cut' | 'undrain';
export type OperationResult =
  /** Proven: every gateway of the roster acked and reported zero. */
  | 'drained'
  /** Stopped waiting; `left` requests were cut off from the drain's promise. */
  | 'cut'
  /** Time ran out and the instances were given back. */
  | 'undrained'
  /** Time ran out while a gateway could not be heard: nothing is known, nothing is claimed. */
  | 'unproven'
  /** Time ran out with requests still open. */
  | 'timed_out'
  | 'cancelled'
  /** Another intent (undrain, isolate, a newer drain) took its instances away. */
  | 'superseded';

/** A drain's share in one service's record. An operation over several services has one such entry in each. */
export interface OperationRecord {
  readonly id: string;
  readonly kind: 'drain';
  readonly instances: readonly string[];
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  readonly deadline?: string;
  readonly on_timeout: OnTimeout;
  readonly idempotency_key?: string;
  /** SHA-1 of the request, so that a key reused for another request is refused. */
  readonly request?: string;
  readonly result?: OperationResult;
  readonly ended_at?: string;
  /** Requests left when it ended, by instance; only what is above 0. */
  readonly left?: Readonly<Record<string, number>>;
  /** What it was waiting for when it ended without proof. */
  readonly waited_for?: readonly string[];
  /** Who was asked when it ended, and who was not. */
  readonly gateways?: Asked;
}

/** One line of a service's history. */
export interface ServiceEvent {
  readonly at: string;
  /** Past tense: `drain_started`, `drained`, `isolated`, `registered`, `lost`, … */
  readonly event: string;
  /** A person's name, or `controller`. */
  readonly by: string;
  readonly instance?: string;
  readonly message: string;
  /** Why a person did it, in that person's words; absent if none were given. */
  readonly reason?: string;
  /** Of the request that caused it, so that the same request does not act twice. */
  readonly idempotency_key?: string;
  readonly request?: string;
}

/** An operator's word that a service is left alone (open), or that its breaker does not open (closed). */
export interface ForcedBreaker extends Decided {
  readonly state: BreakerState;
}

/** A person's word that instances whose registrations had vanished are gone. */
export interface AcceptedLoss extends Decided {
  /** Instance → the incarnation of its registration that vanished (empty: not known): one that registers anew is another. */
  readonly instances: Readonly<Record<string, string>>;
}

/** The data of `/ebbgate/intents/<service>`: one change of it is one compare-and-set. */
export interface IntentRecord {
  /** Schema of this record. */
  readonly v: 1;
  /** Counts changes. */
  readonly rev: number;
  readonly spec: ServiceSpec;
  readonly instances: Readonly<Record<string, InstanceIntent>>;
  /** Version → share in percent; empty = no shares; else they sum to 100. */
  readonly versions: Readonly<Record<string, number>>;
  /** Who set `versions`; absent while there are none, and in records of before it was kept. */
  readonly versions_by?: Decided;
  /** The version that served before `versions` were set: it serves while nobody of them can. Absent = none. */
  readonly fallback?: string;
  /** Who changed `spec` last. */
  readonly spec_by?: Decided;
  /** Present while its releases are frozen. */
  readonly freeze?: Freeze;
  /** Nothing that vanished is removed until it expires. */
  readonly hold?: Decided;
  /** An operator's word about its breaker, until it expires. */
  readonly breaker?: ForcedBreaker;
  /** Present until all of them are out of the published set. */
  readonly accepted?: AcceptedLoss;
  /** Newest last, at most 20. */
  readonly ops: readonly OperationRecord[];
  /** Newest last: of the controller at most 50, of people at most 100 (the older ones are in the history). */
  readonly events: readonly ServiceEvent[];
}

/** A record with the stamp that a compare-and-set needs: `etag` is opaque, and another one after every write. */
export interface StoredIntent {
  readonly service: string;
  readonly record: IntentRecord;
  readonly etag: string;
}

/** The record of a service nobody has decided anything for. */
export const NO_INTENT: IntentRecord = {
  v: 1,
  rev: 0,
  spec: {},
  instances: {},
  versions: {},
  ops: [],
  events: [],
};
