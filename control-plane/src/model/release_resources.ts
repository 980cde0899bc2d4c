import type { AnswerVerdict } from './release_gates.js';
import type { BatchState, PauseCause, ReleasePhase, ReleaseState, TimeSplit } from './release.js';

/*
 * What the API answers about releases, exactly as its JSON. Times are RFC 3339.
 */

/** A gate as it is read now. Errors in percent, latency in milliseconds. */
export interface GateResource {
  /** `errors`, `latency p95`, `webhook:NAME` or `prometheus:NAME`. */
  readonly gate: string;
  readonly verdict: AnswerVerdict;
  /** What is compared with the limit: the target's, or the sample; null if there is none. */
  readonly value: number | null;
  readonly limit: number | null;
  /** What it was told, or why nothing is known; empty of the gates that count. */
  readonly message: string;
  /** Of the gates that count; null of those that are asked. */
  readonly target: number | null;
  readonly stable: number | null;
  readonly samples: { readonly target: number; readonly stable: number } | null;
}

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
  readonly strategy: 'weighted' | 'in_place';
  /** Null in a weighted release. */
  readonly in_place: InPlaceResource | null;
  readonly state: ReleaseState;
  readonly phase: ReleasePhase | null;
  /** From 0; equal to `steps` once all are done. In place it counts batches, and `steps` is an estimate. */
  readonly step: number;
  readonly steps: number;
  readonly attempt: number;
  readonly message: string;
  readonly paused: { readonly cause: PauseCause; readonly by: string; readonly message: string } | null;
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
  readonly gates: readonly GateResource[];
  readonly failures: number;
  readonly failure_limit: number;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  readonly ended_at: string | null;
  readonly times: TimeSplit;
  /** Why it stands still for another reason than its facts: a record that cannot be read. */
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
    /** In place: those that it would upgrade. */
    readonly instances: readonly string[];
  }[];
  /** How instances are upgraded; null in a weighted release. */
  readonly upgrade: string | null;
  /** What would hold its next step up at this moment. */
  readonly blockers: readonly string[];
}

/** A plan with what it was computed from: a start that names `hash` is refused if it would be another plan. */
export interface HashedPlan extends ReleasePlanResource {
  readonly hash: string;
}
