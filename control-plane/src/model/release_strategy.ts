/*
 * How a release goes about it: one member of the union per strategy, with how far it is. What each of them does is in
 * plan/release/strategy/.
 */

/** One step of a weighted release. `pause` without a time waits for a person. */
export type WeightedStep =
  | { readonly weight: number }
  | { readonly pause: { readonly for_ms?: number | undefined } };

/** Shares move from the stable version to the target, step by step. */
export interface WeightedStrategy {
  readonly kind: 'weighted';
  /** At least one; the last one is `{weight: 100}`. */
  readonly steps: readonly WeightedStep[];
  readonly progress: WeightedProgress;
}

export interface WeightedProgress {
  /** How many instances were ready to serve when it began; null in records of before. */
  readonly capacity: number | null;
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
 * them (`wait`). `only`: the release upgrades just those that an earlier release left, to the version that is stable already, and waits for them.
 */
export const STRAGGLERS = ['leave', 'wait', 'only'] as const;
export type Stragglers = (typeof STRAGGLERS)[number];

/** The instances become the target, batch by batch. */
export interface InPlaceStrategy {
  readonly kind: 'in_place';
  readonly batch: Amount;
  readonly max_unavailable: Amount;
  /** Failed instances of one batch that are tolerated. */
  readonly max_failed: number;
  readonly upgrade: Upgrade;
  /** From asked to ready with the new version, and once more from there to healthy everywhere. */
  readonly upgrade_timeout_ms: number;
  readonly drain_timeout_ms: number;
  /** 0 = no soak between batches. */
  readonly soak_ms: number;
  readonly stragglers: Stragglers;
  readonly progress: InPlaceProgress;
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

/** The strategies by kind. The file of another strategy adds its member here (`declare module`). */
export interface Strategies {
  readonly weighted: WeightedStrategy;
  readonly in_place: InPlaceStrategy;
}
export type Strategy = Strategies[keyof Strategies];

export const BATCH_STATES = ['draining', 'upgrading', 'warming', 'done', 'failed', 'left_out'] as const;
/** How far an instance of a batch is. */
export type BatchState = (typeof BATCH_STATES)[number];

/** An instance as it was when a batch took it: what the call of an upgrade says, also when the instance is missing meanwhile. */
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
  /** The call of this attempt names it. */
  readonly named: boolean;
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
