import type { Inquiry, LastReadings, PrometheusGate, WebhookGate } from './release_gates.js';

/*
 * A release: what moves a service from its stable version to another. The states and phases are described in
 * docs/explanation/releases.md. The record holds targets, never effects.
 */

export const RELEASE_STATES = [
  'pending',
  'preparing',
  'progressing',
  'paused',
  'finalizing',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'cancelled',
  'failed',
  'superseded',
] as const;
export type ReleaseState = (typeof RELEASE_STATES)[number];

export const RELEASE_PHASES = [
  'applying',
  'converging',
  'draining',
  'upgrading',
  'warming',
  'soaking',
  'analysing',
] as const;
export type ReleasePhase = (typeof RELEASE_PHASES)[number];

/** How a release that goes back will end. */
export type ReleaseEnding = 'rolled_back' | 'cancelled' | 'failed';

/** Version → share in whole percent; they sum to 100. Empty in a release in place: weights alone decide. */
export type Shares = Readonly<Record<string, number>>;

/** One step of a weighted release. `pause` without a time waits for a person. */
export type WeightedStep =
  { readonly weight: number } | { readonly pause: { readonly for_ms?: number | undefined } };

export interface WeightedStrategy {
  readonly kind: 'weighted';
  /** At least one; the last one is `{weight: 100}`. */
  readonly steps: readonly WeightedStep[];
}

/** How many instances: so many, or so many percent of all, rounded down and at least one. */
export type Amount = { readonly count: number } | { readonly percent: number };

/** Who upgrades a batch. */
export type Upgrade =
  | { readonly webhook: { readonly url: string; readonly timeout_ms: number } }
  | { readonly command: { readonly name: string; readonly timeout_ms: number } }
  | { readonly person: true };

/**
 * Instances that a person has out of use when their turn comes: left as they are and named (`leave`), or the end of the release waits for
 * them (`wait`). `only`: nothing but those that an earlier release left is upgraded to the version that is stable already, and they are waited for.
 */
export const STRAGGLERS = ['leave', 'wait', 'only'] as const;
export type Stragglers = (typeof STRAGGLERS)[number];

export interface InPlaceStrategy {
  readonly kind: 'in_place';
  readonly batch: Amount;
  readonly max_unavailable: Amount;
  /** Failed instances of one batch that are put up with. */
  readonly max_failed: number;
  readonly upgrade: Upgrade;
  /** From asked to ready with the new version, and once more from there to healthy everywhere. */
  readonly upgrade_timeout_ms: number;
  readonly drain_timeout_ms: number;
  /** 0 = no soak between batches. */
  readonly soak_ms: number;
  readonly stragglers: Stragglers;
}

export type Strategy = WeightedStrategy | InPlaceStrategy;

export const BATCH_STATES = ['draining', 'upgrading', 'warming', 'done', 'failed', 'left_out'] as const;
/** How far an instance of a batch is. */
export type BatchState = (typeof BATCH_STATES)[number];

/** An instance as it was when it was taken into a batch: what an upgrade is told, also when it is gone meanwhile. */
export interface Picked {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Its version then. */
  readonly from: string;
  /** It was handed to an upgrade and may be in any state until it is proven. */
  readonly asked: boolean;
  /** Why it failed or was left out; else empty. */
  readonly reason: string;
}

export interface BatchInstance extends Picked {
  readonly state: BatchState;
  /** The call of this attempt is about it. */
  readonly told: boolean;
}

/** An instance that a release does not bring to `to`. */
export interface LeftOut extends Picked {
  readonly to: string;
}

/** What came of the call for a batch. */
export interface CallOutcome {
  readonly outcome: 'accepted' | 'refused';
  readonly reason: string;
}

/** A batch that has begun. */
export interface BatchSummary {
  /** From 0; batches are numbered through, on the way back too. */
  readonly step: number;
  readonly direction: Direction;
  /** How many instances; `instances` names the first ones only. */
  readonly count: number;
  readonly instances: readonly string[];
}

export type Direction = 'forward' | 'back';

/** Where a release turned round. */
export interface Turned {
  /** The step that was under way, from 0. */
  readonly step: number;
  /** False if no step had begun: then there is nothing to be taken back. */
  readonly begun: boolean;
}

/** How far a release in place is. */
export interface InPlaceProgress {
  /** The present batch; before the first one what a superseded release left under way. */
  readonly batch: readonly BatchInstance[];
  /** Null until the call for this batch and attempt has an outcome. */
  readonly called: CallOutcome | null;
  readonly left_out: readonly LeftOut[];
  /** Soaks are left out from now on. */
  readonly full: boolean;
  /** How many batches the whole way comes to, by the newest estimate before it turned round; null = not estimated yet. */
  readonly planned: number | null;
  /** Newest last, at most 100. */
  readonly batches: readonly BatchSummary[];
}

export const PERCENTILES = [50, 90, 95, 99] as const;
export type Percentile = (typeof PERCENTILES)[number];

/** What the end of a soak does without a verdict. `extend`: the soak goes on, at most to four times its length, and then pauses. */
export const ON_INCONCLUSIVE = ['pause', 'pass', 'fail', 'extend'] as const;
export type OnInconclusive = (typeof ON_INCONCLUSIVE)[number];

export interface Gates {
  /** Requests of each side below which nothing is judged. */
  readonly min_samples: number;
  /** Failed judgements in one step that are put up with. */
  readonly failure_limit: number;
  readonly interval_ms: number;
  /** The first part of a soak, which is in no window: what a version does while it warms up. */
  readonly delay_ms: number;
  readonly on_inconclusive: OnInconclusive;
  /** Null = not judged. */
  readonly errors: { readonly max_percent: number; readonly ratio: number } | null;
  readonly latency: {
    readonly percentile: Percentile;
    readonly slack_ms: number;
    readonly ratio: number;
  } | null;
  readonly fast: boolean;
  /** Asked outside, at every interval of a soak and at its end; both as model/release_gates.ts says. */
  readonly webhooks: readonly WebhookGate[];
  readonly prometheus: readonly PrometheusGate[];
}

/**
 * What gateways counted: requests, those that failed, the sum of their times in milliseconds, and how many of them fell into each
 * bucket of model/latency.ts. WebSockets are in no bucket.
 */
export interface Counts {
  readonly requests: number;
  readonly errors: number;
  readonly ms: number;
  readonly buckets: readonly number[];
}

/** Counts of both sides over one window. `last` is where the watcher's totals stood when it was added to. */
export interface Window {
  /** Whose totals `last` speaks of: a controller counts from its own start. */
  readonly watcher: string;
  readonly last: { readonly stable: Counts; readonly target: Counts };
  readonly sum: { readonly stable: Counts; readonly target: Counts };
}

export type PauseCause =
  /** A `{pause: {}}` step. */
  | 'step'
  /** A person. */
  | 'person'
  /** A gate that could not judge. */
  | 'gate'
  /** A drain that was not proven in time. */
  | 'drain';

/** Who or what paused a release. */
export interface PauseLayer {
  readonly cause: PauseCause;
  readonly by: string;
  readonly message: string;
}

export interface Paused extends PauseLayer {
  /** The pauses that this one lies over, uppermost first; a `resume` uncovers the next. */
  readonly over?: readonly PauseLayer[];
  /** Where `resume` goes on. */
  readonly state: 'preparing' | 'progressing';
  readonly phase: ReleasePhase | null;
}

/** One verb that was obeyed: the same key does not act twice. */
export interface ObeyedVerb {
  readonly key: string;
  readonly request: string;
}

export interface ReleaseEvent {
  /** Counts the events of the release, from 1. */
  readonly n: number;
  /** RFC 3339. */
  readonly at: string;
  /** Past tense. */
  readonly event: string;
  /** A person's name, or `controller`. */
  readonly by: string;
  readonly message: string;
}

/** How long it was in what, in milliseconds of the wall clock. */
export interface TimeSplit {
  readonly active_ms: number;
  readonly paused_ms: number;
  readonly converging_ms: number;
  readonly draining_ms: number;
  /** Waiting for instances to come back upgraded. */
  readonly upgrading_ms: number;
}

/** The data of `/ebbgate/releases/<service>/current`. */
export interface ReleaseRecord {
  /** Schema of this record. */
  readonly v: 1;
  /** Counts changes. */
  readonly rev: number;
  readonly id: string;
  readonly service: string;
  /** The place in the service's history, from 1. */
  readonly n: number;
  readonly stable: string;
  readonly target: string;
  readonly strategy: Strategy;
  /** Null in a weighted release. */
  readonly in_place: InPlaceProgress | null;
  readonly gates: Gates;
  /** How long the target may have no ready instance while it has a share, before the release fails. */
  readonly deadline_ms: number;
  /** How long it may take to its first step, before the release fails; what guards hold up is not counted. */
  readonly start_deadline_ms: number;
  /** How many ready instances a version needs for its share: so many, or percent of what its share of `capacity` comes to. */
  readonly min_ready: Amount;
  /** How many instances were ready to serve when it began; null in a release in place, and in records of before. */
  readonly capacity: number | null;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  readonly state: ReleaseState;
  /** RFC 3339: when `state` or `phase` was entered. */
  readonly since: string;
  /** Null outside of steps. */
  readonly phase: ReleasePhase | null;
  /** From 0; equal to the number of steps once all are done. */
  readonly step: number;
  /** Counts the beginnings of this step, from 1. */
  readonly attempt: number;
  readonly paused: Paused | null;
  /** How it will end, while it goes back. */
  readonly ending: ReleaseEnding | null;
  /** Null while it goes forward. */
  readonly turned: Turned | null;
  readonly message: string;
  /** What the shares were when it began. */
  readonly base: Shares;
  /** What the shares should be now. */
  readonly shares: Shares;
  /** Observed in this phase. */
  readonly observed_ms: number;
  /** Spent without a ready instance of the target. */
  readonly stalled_ms: number;
  readonly window: Window | null;
  /** Failed judgements in this step. */
  readonly failures: number;
  /** What was observed when the last one was made. */
  readonly judged_ms: number;
  /** How much longer the present soak is than planned. */
  readonly extended_ms: number;
  /** What the gates read when a window was judged for the last time; null = never. */
  readonly read: LastReadings | null;
  /** The newest round of questions to the gates outside in this attempt; null before the first. */
  readonly inquiry: Inquiry | null;
  readonly times: TimeSplit;
  /** Milliseconds of the wall clock at which facts were looked at last. */
  readonly looked_at: number;
  /** Which run of a controller looked then; only the time between two looks of one run was observed. */
  readonly looked_by: string;
  readonly ended_at: string | null;
  /** Newest last, at most 20. */
  readonly verbs: readonly ObeyedVerb[];
  /** Newest last: of people and of the controller at most 50 each. */
  readonly events: readonly ReleaseEvent[];
}

/** A record with the stamp that a compare-and-set needs. */
export interface StoredRelease {
  readonly service: string;
  readonly record: ReleaseRecord;
  readonly etag: string;
}

/** Everything known of one service's releases. `history` oldest first. */
export interface ServiceReleases {
  readonly current: StoredRelease | null;
  readonly history: readonly ReleaseRecord[];
  /** The highest place that is taken in the history, also by a record that cannot be read; absent = that of `history`. */
  readonly last_n?: number;
}

/** What a release asks of the set of its service. */
export interface ReleaseTraffic {
  /** The release's id, for explanations. */
  readonly release: string;
  readonly stable: string;
  /** Empty = by weights. */
  readonly shares: Shares;
  /** Instances that it drains. */
  readonly draining: readonly string[];
  /** `batch 2`, for explanations. */
  readonly batch: string;
}

export const VERBS = ['pause', 'resume', 'promote', 'skip', 'retry', 'abort', 'rollback'] as const;
export type VerbName = (typeof VERBS)[number];

/** What a person wants of a running release. */
export interface Verb {
  readonly verb: VerbName;
  /** The step that the person saw, from 0; needed by promote, skip and retry. */
  readonly expected_step: number | null;
  /** promote: to the last step. */
  readonly full: boolean;
}

/** True in a state that nothing moves on. */
export function hasEnded(state: ReleaseState): boolean {
  return ['succeeded', 'rolled_back', 'cancelled', 'failed', 'superseded'].includes(state);
}

/** The default gates: none of them needs a configuration to protect a service. */
export const DEFAULT_GATES: Gates = {
  min_samples: 50,
  failure_limit: 0,
  interval_ms: 10_000,
  delay_ms: 0,
  on_inconclusive: 'pause',
  errors: { max_percent: 1, ratio: 2 },
  latency: { percentile: 95, slack_ms: 10, ratio: 2 },
  fast: true,
  webhooks: [],
  prometheus: [],
};
