import type { PauseCause, ReleasePhase, ReleaseState, TimeSplit } from './release.js';

/*
 * What the API answers about releases, exactly as its JSON. Times are RFC 3339.
 */

/** A gate as it is read now. Errors in percent, latency in milliseconds. */
export interface GateResource {
  readonly gate: 'errors' | 'latency';
  readonly verdict: 'pass' | 'fail' | 'inconclusive';
  readonly target: number | null;
  readonly stable: number | null;
  readonly limit: number | null;
  readonly samples: { readonly target: number; readonly stable: number };
}

export interface ReleaseResource {
  readonly id: string;
  /** Without quotes; changes with every move, not with what only counts. */
  readonly etag: string;
  readonly service: string;
  readonly n: number;
  readonly stable: string;
  readonly target: string;
  readonly strategy: 'weighted';
  readonly state: ReleaseState;
  readonly phase: ReleasePhase | null;
  /** From 0; equal to `steps` once all are done. */
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
  }[];
  /** What would hold its next step up at this moment. */
  readonly blockers: readonly string[];
}

/** A plan with what it was computed from: a start that names `hash` is refused if it would be another plan. */
export interface HashedPlan extends ReleasePlanResource {
  readonly hash: string;
}
