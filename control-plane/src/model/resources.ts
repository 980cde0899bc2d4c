import type { BreakerResource } from './breaker.js';
import type { EffectiveSections, EffectiveSpec } from './effective_spec.js';
import type { KeysDocument } from './key_documents.js';
import type { HoldResource } from './hold.js';
import type { FreezeResource } from './freeze.js';
import type { IntentState, OnTimeout, OperationResult, ServiceEvent } from './intent.js';
import type { Asked } from './gateway.js';
import type { Position } from './position.js';
import type { ProblemKind, ProblemSeverity } from './standing_problem.js';
import type { LimitAlgorithm, LimitCounts } from './limit.js';
import type { Document, PeerState } from './set.js';

/*
 * What the API answers, exactly as its JSON. Times are RFC 3339, durations in fields are milliseconds (`_ms`).
 */

export type { EffectiveSections, EffectiveSpec };

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
  /** Why removals are suspended now, or null. */
  readonly protection: string | null;
  /** Everything that keeps instances whose registrations vanished, or would; the strongest first. */
  readonly holds: readonly HoldResource[];
  /** Why none of its releases may begin a step; its own freeze first. */
  readonly freezes: readonly FreezeResource[];
  /** Gateways that have too few healthy instances and therefore ignore health. */
  readonly panic: readonly string[];
  readonly breaker: BreakerResource;
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
  /** What is wrong and how to correct it. */
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
   * it, because then nobody checks it.
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

/** The version of the set document that sets are written in. */
/** A limit of a service, and what came of it of late. */
export interface LimitResource {
  readonly name: string;
  readonly algorithm: LimitAlgorithm;
  readonly scope: 'gateway' | 'cluster';
  /** Like `100/s`; null = it has none. */
  readonly rate: string | null;
  readonly mode: 'enforce' | 'log';
  /** Over those gateways that say so; null = none does yet. */
  readonly recent:
    | (LimitCounts & {
        /** How long each of them looked back: the shortest. */
        readonly seconds: number;
        readonly gateways: number;
      })
    | null;
}

export interface ContractResource {
  readonly version: number;
  /** The highest that this controller may choose. */
  readonly most: number;
  /** Gateways that do not understand the next higher one. */
  readonly limited_by: readonly string[];
  /** Gateways that do not understand this one: they serve what they had. */
  readonly left_behind: readonly string[];
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
  /** The versions of the set document that it understands, as it said last; null of one that was never heard. */
  readonly contracts: readonly number[] | null;
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
  readonly kind:
    | IntentState
    | 'weight'
    | 'backup'
    | 'versions'
    | 'release'
    | 'freeze'
    | 'hold'
    | 'breaker'
    | 'accepted';
  readonly value: string;
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
}

export interface SetResource {
  readonly service: string;
  /** The version of the contract that it is written in, and that `hash` is of; `document` has the form of version 1 all the same. */
  readonly contract: number;
  readonly epoch: number;
  readonly generation: number;
  readonly hash: string;
  readonly at: string;
  /** Keys are shown to nobody. */
  readonly document: Exclude<Document, KeysDocument>;
}

export type { ServiceEvent };

/** One controller. Exactly one is the leader while the election has an answer. */
export interface ControllerResource {
  readonly id: string;
  readonly role: 'leader' | 'standby';
  /** Where the others reach its API; null if it says none that is usable. */
  readonly address: string | null;
  readonly version: string;
  readonly started_at: string;
}
