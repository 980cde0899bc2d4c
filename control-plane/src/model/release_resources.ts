import type { PauseLayer, ReleasePhase, ReleaseState, TimeSplit, Turned } from './release.js';
import type { KeptReading } from './release_gates.js';
import type { BatchState, Direction, Stragglers, Strategy } from './release_strategy.js';

/*
 * What the API answers about releases, exactly as its JSON. Times are RFC 3339.
 */

/**
 * A gate. Errors in percent, latency in milliseconds. `gate`: `errors`, `latency p95`, `fast`, `webhook:NAME` or `prometheus:NAME`; `value`
 * is compared with `limit`; `message`: what it read, or why nothing is known; `target`, `stable` and `samples` of the gates that count.
 */
export type GateResource = KeptReading;

/** An instance of the present batch. */
export interface BatchInstanceResource {
  readonly id: string;
  readonly state: BatchState;
  /** As registered now; what it was when it is not registered. */
  readonly version: string;
  readonly in_flight: number | null;
  readonly reason: string;
  readonly waiting_for: readonly string[];
}

/** A release in place: how it goes about it, and where it is. */
export interface InPlaceResource {
  /** `2` or `20%`. */
  readonly batch: string;
  readonly max_unavailable: string;
  readonly max_failed: number;
  readonly upgrade: 'webhook' | 'command' | 'person';
  /** The webhook's origin, or the command's name; else empty. */
  readonly through: string;
  readonly upgrade_timeout_ms: number;
  readonly drain_timeout_ms: number;
  readonly soak_ms: number;
  readonly stragglers: Stragglers;
  readonly instances: readonly BatchInstanceResource[];
  /** What came of the call for this batch. */
  readonly call: 'none' | 'wanted' | 'accepted' | 'refused';
  readonly left_out: readonly { readonly id: string; readonly reason: string }[];
}

export interface ReleaseResource {
  readonly id: string;
  /** Without quotes; changes with every move, not with what only counts. */
  readonly etag: string;
  readonly service: string;
  readonly n: number;
  readonly stable: string;
  readonly target: string;
  readonly strategy: Strategy['kind'];
  /** Null in a weighted release. */
  readonly in_place: InPlaceResource | null;
  readonly state: ReleaseState;
  readonly phase: ReleasePhase | null;
  /**
   * From 0; equal to `steps` once all are done. In place it counts batches, and is counted on through the way back: `turned` says where
   * that began, and `back` how far it is.
   */
  readonly step: number;
  /** Of the way forward; in place an estimate. */
  readonly steps: number;
  readonly direction: Direction;
  /** Where it turned round; null while it goes forward. */
  readonly turned: Turned | null;
  /** In place: the batches of the way back, `step` from 0, equal to `steps` once all are done; null else. */
  readonly back: { readonly step: number; readonly steps: number } | null;
  readonly attempt: number;
  readonly message: string;
  /** `over`: the pauses below it, which a `resume` uncovers. */
  readonly paused: (PauseLayer & { readonly over: readonly PauseLayer[] }) | null;
  /** What the next move waits for, one sentence each. */
  readonly waiting_for: readonly string[];
  readonly since: string;
  readonly shares: {
    /** What the record asks for. */
    readonly wanted: Readonly<Record<string, number>>;
    /** How the weight of the published set is spread, in percent. */
    readonly published: Readonly<Record<string, number>>;
    /** How many of the known gateways obey the published set. */
    readonly applied_on: number;
    readonly gateways: number;
  };
  /** As they read now; once no gate is read any more, as they read last (`gates_read_at`). */
  readonly gates: readonly GateResource[];
  /** RFC 3339; null = now, or never. */
  readonly gates_read_at: string | null;
  readonly failures: number;
  readonly failure_limit: number;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  readonly ended_at: string | null;
  readonly times: TimeSplit;
  /** Why it does not move for another reason than its facts: a record that cannot be read. */
  readonly problem: string | null;
}

/** What a release will do, or was asked to do. */
export interface ReleasePlanResource {
  readonly service: string;
  readonly stable: string;
  readonly target: string;
  readonly rollback_to: string;
  readonly steps: readonly {
    readonly step: number;
    readonly what: string;
    /** The shares once it has begun. */
    readonly shares: Readonly<Record<string, number>>;
    /** In place: those that it upgrades. */
    readonly instances: readonly string[];
    readonly direction: Direction;
    /** Version → ready instances while the step is under way, if nothing else changes; empty of what is over. */
    readonly ready: Readonly<Record<string, number>>;
    /** How many ready instances of the target it needs before it begins; 0 = it needs none more. */
    readonly needs: number;
  }[];
  /** How instances are upgraded; null in a weighted release. */
  readonly upgrade: string | null;
  /** Its gates, one sentence each. */
  readonly gates: readonly string[];
  /** How long it may wait for its first step. */
  readonly start_deadline_ms: number;
  /** What blocks its next step now. */
  readonly blockers: readonly string[];
}

/** A plan with what it was computed from: a start that names `hash` is refused if it would be another plan. */
export interface HashedPlan extends ReleasePlanResource {
  readonly hash: string;
}
