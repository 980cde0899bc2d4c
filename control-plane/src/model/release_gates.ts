/*
 * The gates of a release: what they ask for, what they read, and what gates outside answered.
 */

/** How many of each kind a release may have. */
export const MAX_OUTER_GATES = 5;

/** Asked by POST; it answers `{verdict, message?}`. */
export interface WebhookGate {
  /** Unique among the webhooks of a release. */
  readonly name: string;
  readonly url: string;
  readonly timeout_ms: number;
}

/** Passes while the one sample of `query` is from `min` to `max`; at least one of the two is not null. */
export interface PrometheusGate {
  /** Unique among the Prometheus gates of a release. */
  readonly name: string;
  /** PromQL; `{{service}}`, `{{stable}}` and `{{target}}` are the release's. */
  readonly query: string;
  readonly max: number | null;
  readonly min: number | null;
}

export const PERCENTILES = [50, 90, 95, 99] as const;
export type Percentile = (typeof PERCENTILES)[number];

/** What the end of a soak does without a verdict. `extend`: the soak goes on, at most to four times its length, and then pauses. */
export const ON_INCONCLUSIVE = ['pause', 'pass', 'fail', 'extend'] as const;
export type OnInconclusive = (typeof ON_INCONCLUSIVE)[number];

export interface Gates {
  /** Requests of each side below which a gate gives no verdict. */
  readonly min_samples: number;
  /** Failed verdicts in one step that are tolerated. */
  readonly failure_limit: number;
  readonly interval_ms: number;
  /** The first part of a soak, which is in no window: what a version does while it warms up. */
  readonly delay_ms: number;
  readonly on_inconclusive: OnInconclusive;
  /** Null = no such gate. */
  readonly errors: { readonly max_percent: number; readonly ratio: number } | null;
  readonly latency: {
    readonly percentile: Percentile;
    readonly slack_ms: number;
    readonly ratio: number;
  } | null;
  readonly fast: boolean;
  /** Asked outside, at every interval of a soak and at its end; both as above. */
  readonly webhooks: readonly WebhookGate[];
  readonly prometheus: readonly PrometheusGate[];
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

/** Counts of both sides over one window. `last` is where the watcher's totals were when it was added to. */
export interface Window {
  /** Whose totals `last` speaks of: a controller counts from its own start. */
  readonly watcher: string;
  readonly last: { readonly stable: Counts; readonly target: Counts };
  readonly sum: { readonly stable: Counts; readonly target: Counts };
}

/** From the one that decides before all others to the one that every other goes before. */
export const ANSWER_VERDICTS = ['abort', 'fail', 'wait', 'complete', 'inconclusive', 'pass'] as const;
export type AnswerVerdict = (typeof ANSWER_VERDICTS)[number];

export interface GateAnswer {
  readonly verdict: AnswerVerdict;
  /** The sample; null of a webhook, or if there was none. */
  readonly value: number | null;
  readonly message: string;
  /** RFC 3339: when it was answered. */
  readonly at: string;
}

export type Verdict = 'pass' | 'fail' | 'inconclusive';

/** A gate that counts, as it was read. */
export interface GateReading {
  /** `errors`, or with its percentile `latency p95`. */
  readonly gate: string;
  readonly verdict: Verdict;
  /** In percent for errors, in milliseconds for latency; null without samples. */
  readonly target: number | null;
  readonly stable: number | null;
  /** The target fails above it; null while nothing can be compared. */
  readonly limit: number | null;
  readonly samples: { readonly target: number; readonly stable: number };
  /** Why it is inconclusive; else empty. */
  readonly note: string;
}

/** What the gates read at the end of a window, or when they failed. */
export interface LastReadings {
  /** RFC 3339. */
  readonly at: string;
  /** Of which step, from 0. */
  readonly step: number;
  readonly gates: readonly KeptReading[];
}

/** A gate of any kind, as it was read. */
export interface KeptReading {
  readonly gate: string;
  readonly verdict: AnswerVerdict;
  readonly value: number | null;
  readonly limit: number | null;
  readonly message: string;
  readonly target: number | null;
  readonly stable: number | null;
  readonly samples: { readonly target: number; readonly stable: number } | null;
}

/** One round of questions to the outer gates. */
export interface Inquiry {
  /** Counts the rounds within an attempt of a step, from 1. */
  readonly n: number;
  /** RFC 3339: when it began. */
  readonly at: string;
  /** How much of the soak was observed then. */
  readonly asked_ms: number;
  /** What the counters reported then: part of what a webhook gets, so that a repeat gets the same. */
  readonly readings: readonly GateReading[];
  /** False once nothing waits for its answers any more. */
  readonly open: boolean;
  /** `webhook:NAME` or `prometheus:NAME` → what it answered; absent = not yet. */
  readonly answers: Readonly<Record<string, GateAnswer>>;
}
