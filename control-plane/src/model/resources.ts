import type { FreezeResource } from './freeze.js';
import type {
  IntentState,
  OnTimeout,
  OperationResult,
  RouteSpec,
  ServiceEvent,
  ServiceSpec,
} from './intent.js';
import type { Asked } from './gateway.js';
import type { Position } from './position.js';
import type { GuardVerdict } from './problem.js';
import type { ProblemKind, ProblemSeverity } from './standing_problem.js';
import type {
  Balancer,
  Document,
  HashOn,
  Health,
  HealthCheck,
  PeerState,
  Retry,
  Sticky,
  Timeouts,
  Upstream,
} from './set.js';

/*
 * What the API answers, exactly as its JSON. Times are RFC 3339, durations in fields are milliseconds (`_ms`).
 */

/** The spec with every default filled in. */
export interface EffectiveSpec extends EffectiveSections {
  readonly routes: readonly RouteSpec[];
  readonly min_available: number;
  readonly version_fallback: boolean;
}

/** What of it goes into the set. null = none. */
export interface EffectiveSections {
  readonly balancer: Required<Omit<Balancer, 'hash_on' | 'sticky'>> & {
    readonly hash_on: { readonly source: HashOn['source']; readonly name: string | null } | null;
    readonly sticky: Required<Sticky> | null;
  };
  readonly timeouts: Required<Timeouts>;
  readonly retry: Required<Retry>;
  readonly health: Required<Omit<Health, 'check'>> & { readonly check: Required<HealthCheck> | null };
  readonly upstream: Required<Upstream>;
}

export interface ServiceResource {
  readonly service: string;
  /** Without quotes; null while nothing was ever decided for it (If-Match: "0" creates). */
  readonly etag: string | null;
  readonly spec: EffectiveSpec;
  /** Version → share in percent, as decided; empty = by weight alone. */
  readonly versions: Readonly<Record<string, number>>;
  readonly instances: {
    readonly total: number;
    readonly eligible: number;
    /** Of the eligible those that are not found ejected or failing by every live gateway; null while no gateway can be asked. */
    readonly healthy: number | null;
    readonly draining: number;
    readonly isolated: number;
    readonly other: number;
  };
  /** The version that serves while nobody of `versions` can; null = none. */
  readonly fallback: string | null;
  /** True while it does. */
  readonly fell_back: boolean;
  /** How the eligible weight is spread now, in percent by version. */
  readonly effective_shares: Readonly<Record<string, number>>;
  readonly published: Position | null;
  readonly convergence: Convergence | null;
  readonly problems: readonly ProblemResource[];
  /** Why removals are held back now, or null. */
  readonly protection: string | null;
  /** Why none of its releases may begin a step; its own freeze first. */
  readonly freezes: readonly FreezeResource[];
  /** Gateways that have too few healthy instances and therefore ignore health. */
  readonly panic: readonly string[];
}

/** Something that is wrong now and is shown until it is gone. */
export interface ProblemResource {
  readonly code: ProblemKind;
  readonly severity: ProblemSeverity;
  /** Null: of no service, or of one whose name is not taken. */
  readonly service: string | null;
  readonly instance: string | null;
  /** The znode that it is about. */
  readonly path: string | null;
  readonly field: string | null;
  /** What is wrong and how to mend it. */
  readonly message: string;
  /** When this controller saw it first. */
  readonly since: string;
}

/** Who follows the present set of a service. */
export interface Convergence {
  readonly service: string;
  readonly target: Position;
  readonly converged: boolean;
  readonly gateways: readonly {
    readonly id: string;
    readonly applied: Position | null;
    readonly state: 'acked' | 'behind' | 'rejected' | 'unknown';
    readonly code?: string;
  }[];
}

/** How far an instance's drain is, computed at the moment of asking; never stored. */
export interface DrainStatus {
  /** True only when every gateway of the roster acked the set and reported zero with it. */
  readonly drained: boolean;
  /** One sentence per thing that is missing; empty when drained. */
  readonly waiting_for: readonly string[];
  /** Open requests over all gateways; null if any gateway cannot be counted. */
  readonly in_flight: number | null;
}

export interface InstanceResource {
  readonly service: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly registered: boolean;
  readonly ready: boolean;
  readonly leaving: boolean;
  readonly registered_weight: number;
  readonly registered_backup: boolean;
  /** The znode it is registered by; null if it is not, or was only published before this controller started. */
  readonly path: string | null;
  /** True if no session owns that node: nothing removes it when the process of the instance dies. */
  readonly persistent: boolean;
  readonly intent: {
    /** All that was decided for it, uppermost first, a sentence each: `isolated by ann: leak`, `drained by bob`. */
    readonly layers: readonly string[];
    /** Of the uppermost layer, like the author and what follows it. */
    readonly state: IntentState | null;
    readonly weight: number | null;
    readonly backup: boolean | null;
    readonly keep_sticky_until: string | null;
    readonly by: string;
    readonly reason: string;
    readonly at: string;
    readonly expires: string | null;
    readonly operation: string | null;
  } | null;
  readonly effective: {
    readonly state: PeerState;
    /** As it was given: by hand, else by registration. It counts while the instance takes requests. */
    readonly weight: number;
    /** Percent of the service's requests that its weight, and the share of its version, come to. */
    readonly traffic: number;
    readonly down: boolean;
    readonly backup: boolean;
    /** True while it is drained and still serves the clients that are bound to it by cookie. */
    readonly keep_sticky: boolean;
  };
  /** Sentences that explain what it gets, strongest first: what gateways find of it, then what makes `effective`. */
  readonly why: readonly string[];
  /** Gateway id → open requests; null = that gateway cannot be counted now. */
  readonly in_flight: Readonly<Record<string, number | null>>;
  /** Present while no new request may go to it. */
  readonly drain: DrainStatus | null;
  /**
   * How it fares where it is not simply healthy: gateways that find it so are left out. Empty while no new request may go to
   * it, because then nobody judges it.
   */
  readonly health: readonly InstanceHealth[];
}

/** One instance as one gateway sees it. */
export interface InstanceHealth {
  readonly gateway: string;
  /** `unknown` (the gateway cannot be heard), or what it reports: `ejected`, `failing`, `half_open`, `warming`; others may come. */
  readonly state: string;
  readonly reason: string;
  readonly since: string | null;
}

export interface OperationResource {
  readonly id: string;
  readonly kind: 'drain';
  readonly state: 'running' | 'done';
  readonly result: OperationResult | null;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  readonly deadline: string | null;
  readonly on_timeout: OnTimeout;
  readonly ended_at: string | null;
  /** On whose word its result rests, at its end; now, while it runs. */
  readonly gateways: Asked;
  /** True once the present intent is in the published set. */
  readonly published: boolean;
  readonly instances: readonly {
    readonly service: string;
    readonly id: string;
    readonly drained: boolean;
    readonly in_flight: Readonly<Record<string, number | null>>;
    readonly waiting_for: readonly string[];
    readonly result: OperationResult | null;
    readonly requests_left: number;
  }[];
  /** All that is missing, without repeats. */
  readonly waiting_for: readonly string[];
}

export interface GatewayResource {
  readonly id: string;
  /**
   * `live`: heard lately. `unknown`: silent; it may still be serving, so it blocks drains. `never_heard`: a name in Redis'
   * list without a heartbeat of its own; it blocks nothing.
   */
  readonly state: 'live' | 'unknown' | 'never_heard';
  readonly in_roster: boolean;
  readonly since: string | null;
  readonly silent_ms: number | null;
  readonly host: string | null;
  readonly boot: string | null;
  readonly workers: number | null;
  readonly applied: Position | null;
  readonly behind: number | null;
  readonly rejected: readonly {
    readonly service: string;
    readonly generation: number;
    readonly code: string;
  }[];
  readonly in_flight: number | null;
  /** What is wrong with it, as it says itself; empty while it is not heard. */
  readonly problems: readonly { readonly kind: string; readonly reason: string; readonly since: string }[];
}

/** One line of "everything an operator has changed". */
export interface IntentResource {
  /** `*` = all services. */
  readonly service: string;
  readonly instance: string | null;
  readonly kind: IntentState | 'weight' | 'backup' | 'versions' | 'release' | 'freeze';
  readonly value: string;
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
}

export interface SetResource {
  readonly service: string;
  readonly epoch: number;
  readonly generation: number;
  readonly hash: string;
  readonly at: string;
  readonly document: Document;
}

/**
 * A line of a plan: what a mutation changes (or would change) in the published sets, in the units that people set. `traffic` is
 * percent of the service's requests, also of instances that nobody touched.
 */
export interface PlannedChange {
  readonly service: string;
  readonly instance: string | null;
  readonly field: string;
  readonly from: string;
  readonly to: string;
}

/** What a mutation did, or with `dry_run` would do. */
export interface MutationResource {
  readonly dry_run: boolean;
  readonly changes: readonly PlannedChange[];
  /** Guards that spoke; with force they only warn. */
  readonly guards: readonly GuardVerdict[];
  /** What a wait would wait for at this moment. */
  readonly blockers: readonly string[];
  readonly operation: OperationResource | null;
  /** False when Redis could not be written: accepted, and caught up after. */
  readonly published: boolean;
  /** The services it touched, with their new etags. */
  readonly etags: Readonly<Record<string, string>>;
}

export interface DependencyState {
  readonly state: 'ok' | 'degraded' | 'down';
  readonly since: string;
  readonly detail: string;
  /** Since when what is shown of it is of the past; null while it answers. */
  readonly stale_since: string | null;
}
/** Whether the wall clock of the controller can be believed. */
export interface ClockState {
  /** `unknown`: no store has told the time yet. Only while `in_sync` anything expires. */
  readonly state: 'in_sync' | 'out_of_sync' | 'unknown';
  readonly since: string;
  readonly detail: string;
  /** Store → by how many milliseconds our clock is ahead of its; negative = behind. Only stores that answer. */
  readonly ahead_ms: Readonly<Partial<Record<'zookeeper' | 'redis', number>>>;
}

export interface ReadinessResource {
  readonly ready: boolean;
  /** Why everything stands still until a person has judged what ZooKeeper holds; null while nothing is lost. */
  readonly data_loss: string | null;
  readonly controller: {
    readonly state: 'starting' | 'leading' | 'fenced';
    readonly epoch: number | null;
    readonly since: string;
  };
  readonly zookeeper: DependencyState;
  readonly redis: DependencyState;
  readonly clock: ClockState;
}

/** What is held back now, and why. */
export interface ProtectionResource {
  /** As in `ReadinessResource`. */
  readonly data_loss: string | null;
  /** Why nothing expires now (drains, isolations, freezes, time-outs of drains); null while all do. */
  readonly expiry_suspended: string | null;
  /** Services of which removals are held back. */
  readonly services: readonly { readonly service: string; readonly protection: string }[];
}

/** Selects instances across services. At least one member besides `service` is given. */
export interface Selector {
  readonly service?: string;
  readonly ids?: readonly string[];
  readonly version?: string;
  readonly host?: string;
  readonly zone?: string;
  /** Every instance of `service`; stands alone beside it. */
  readonly all?: true;
}

/** What a client wants changed. */
export type Mutation =
  | { readonly kind: 'patch_spec'; readonly service: string; readonly spec: SpecPatch }
  | {
      readonly kind: 'set_weights';
      readonly service: string;
      readonly weights: Readonly<Record<string, number | null>>;
      /** Instance → whether it is a backup; null = as it registers. */
      readonly backups?: Readonly<Record<string, boolean | null>>;
    }
  | {
      readonly kind: 'set_versions';
      readonly service: string;
      readonly versions: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'drain';
      readonly selector: Selector;
      readonly timeout_ms: number | null;
      readonly on_timeout: OnTimeout;
      /** So long clients that are bound by cookie keep their instance. */
      readonly keep_sticky_ms?: number;
    }
  | { readonly kind: 'undrain' | 'isolate' | 'restore'; readonly selector: Selector }
  | { readonly kind: 'cancel_operation'; readonly id: string }
  /** The expiry is that of the context. */
  | { readonly kind: 'freeze' | 'unfreeze'; readonly service: string }
  | { readonly kind: 'freeze_all' | 'unfreeze_all' }
  | { readonly kind: 'forget_gateway' | 'leave_gateway'; readonly gateway: string }
  /** It begins to serve, and may not be heard. */
  | { readonly kind: 'join_gateway'; readonly gateway: string }
  | {
      readonly kind: 'forget_gateways';
      readonly gateways: readonly string[];
      /** Also every name that was never heard. */
      readonly never_heard: boolean;
    }
  /** A person's word that what ZooKeeper holds after a data loss is right. */
  | {
      readonly kind: 'accept_data_loss';
      /** What was decided, as far as it is known, is written back; else it is lost. */
      readonly keep_intents: boolean;
    };

/** A merge patch (RFC 7396): null takes a member back to its default, at every depth; lists are replaced. */
export type SpecPatch = MergePatch<ServiceSpec>;
type MergePatch<T> = T extends readonly unknown[] | string | number | boolean
  ? T
  : { readonly [K in keyof T]?: MergePatch<NonNullable<T[K]>> | null };

/** The circumstances of a mutation. */
export interface MutationContext {
  readonly by: string;
  readonly reason: string;
  readonly dry_run: boolean;
  /** Guards only warn. */
  readonly force: boolean;
  /** Without quotes; null = not asked for. '0' = must not exist yet, '*' = whatever it is. */
  readonly if_match: string | null;
  readonly idempotency_key: string | null;
  /** How long a new intent lasts. */
  readonly expires_ms: number | null;
}

export type { ServiceEvent };
