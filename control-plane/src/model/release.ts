import type { Gates, Inquiry, LastReadings, Window } from './release_gates.js';
import type { Amount, Strategy } from './release_strategy.js';

/*
 * A release: what moves a service from its stable version to another. The states and phases are described in
 * docs/explanation/releases.md. The record has targets, never effects.
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

/** Version → share in whole percent; they sum to 100. Empty: weights alone decide. */
export type Shares = Readonly<Record<string, number>>;

/** Where a release turned round. */
export interface Turned {
  /** The step that was under way, from 0. */
  readonly step: number;
  /** False if no step had begun: then there is nothing to be taken back. */
  readonly begun: boolean;
}

export type PauseCause =
  /** A `{pause: {}}` step. */
  | 'step'
  /** A person. */
  | 'person'
  /** A gate without a verdict. */
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
  /** How it goes about it, with how far it is. */
  readonly strategy: Strategy;
  readonly gates: Gates;
  /** How long the target may have no ready instance while it has a share, before the release fails. */
  readonly deadline_ms: number;
  /** How long it may take to its first step, before the release fails; time in which guards block it is not counted. */
  readonly start_deadline_ms: number;
  /** How many ready instances a version needs for its share: so many, or percent of what its share of the capacity at the start comes to. */
  readonly min_ready: Amount;
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
  /** Failed verdicts in this step. */
  readonly failures: number;
  /** What was observed when the last one was made. */
  readonly checked_ms: number;
  /** How much longer the present soak is than planned. */
  readonly extended_ms: number;
  /** What the gates read at the last verdict; null = never. */
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
