/*
 * Gates that are asked outside: what a release asks for, and what it was answered.
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
  /** PromQL; `{{service}}`, `{{stable}}` and `{{target}}` stand for the release's. */
  readonly query: string;
  readonly max: number | null;
  readonly min: number | null;
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
  /** What the counters told then: part of what a webhook is told, so that a repeat tells the same. */
  readonly readings: readonly GateReading[];
  /** False once nothing waits for its answers any more. */
  readonly open: boolean;
  /** `webhook:NAME` or `prometheus:NAME` → what it answered; absent = not yet. */
  readonly answers: Readonly<Record<string, GateAnswer>>;
}
