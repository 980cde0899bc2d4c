import { LATENCY_BUCKETS } from '../../model/latency.js';
import type { Counts, GateReading, Gates, Verdict, Window } from '../../model/release_gates.js';
import { atLeast } from './binomial.js';
import { ALPHA, percentileBounds, percentileOf, sampled, type Estimate } from './percentile.js';

/*
 * Whether the target is as good as the stable version, from what the gateways counted for both over the same time.
 */

export const NO_COUNTS: Counts = {
  requests: 0,
  errors: 0,
  ms: 0,
  buckets: Array<number>(LATENCY_BUCKETS).fill(0),
};

/** Every gate that is asked for, read over `window`. `compared`: the stable version has a share to compare with. */
export function readGates(gates: Gates, window: Window | null, compared: boolean): readonly GateReading[] {
  const sides = window?.sum ?? { stable: NO_COUNTS, target: NO_COUNTS };
  return [
    ...(gates.errors ? [readErrors(gates, gates.errors, sides, compared)] : []),
    ...(gates.latency ? [readLatency(gates, gates.latency, sides, compared)] : []),
  ];
}

function isEnough(gates: Gates, samples: GateReading['samples'], compared: boolean): boolean {
  return samples.target >= gates.min_samples && (!compared || samples.stable >= gates.min_samples);
}

/**
 * The target fails above its limit if its sample carries that: were its rate exactly at the limit, so many errors would come with a chance
 * of at most α (`ALPHA`). Against `max_percent` that is the exact binomial test, P(Bin(requests, max_percent) ≥ errors) ≤ α; against `ratio` ×
 * the stable version's rate the conditional test of two rates (Przyborowski and Wilenski, Biometrika 31, 1940): of all errors of both sides the
 * target's are binomial with π = ratio × requests ÷ (ratio × requests + the stable version's requests).
 */
function readErrors(
  gates: Gates,
  rule: NonNullable<Gates['errors']>,
  { stable, target }: Window['sum'],
  compared: boolean,
): GateReading {
  const samples = { target: target.requests, stable: stable.requests };
  const baseline = compared ? (errorPercent(stable) ?? 0) : 0;
  const limit = Math.max(rule.max_percent, rule.ratio * baseline);
  const value = errorPercent(target);
  const reading = { gate: 'errors', target: value, stable: errorPercent(stable), limit, samples };
  if (!isEnough(gates, samples, compared) || value === null)
    return { ...reading, verdict: 'inconclusive', note: tooFew(gates) };
  if (value <= limit) return { ...reading, verdict: 'pass', note: '' };
  const weighed = rule.ratio * target.requests;
  const chances = [
    atLeast(target.errors, target.requests, rule.max_percent / 100),
    ...(compared
      ? [atLeast(target.errors, target.errors + stable.errors, weighed / (weighed + stable.requests))]
      : []),
  ];
  if (Math.max(...chances) <= ALPHA) return { ...reading, verdict: 'fail', note: '' };
  const note = `${String(target.errors)} errors of ${String(target.requests)} requests may be chance`;
  return { ...reading, verdict: 'inconclusive', note };
}

/**
 * The target fails if its sample and the stable version's carry that it is above its limit: lower bound of the target's percentile >
 * slack_ms + ratio × upper bound of the stable version's, both by `percentileBounds`. So a version within its limit fails in at most 2 α of its
 * verdicts (1 in 100), whatever its times look like. What looks like above the limit and is not carried is inconclusive.
 */
function readLatency(
  gates: Gates,
  rule: NonNullable<Gates['latency']>,
  sides: Window['sum'],
  compared: boolean,
): GateReading {
  const samples = { target: sampled(sides.target.buckets), stable: sampled(sides.stable.buckets) };
  const [target, stable] = [sides.target, sides.stable].map(({ buckets }) =>
    percentileOf(buckets, rule.percentile),
  );
  const limit = compared && stable ? rule.slack_ms + rule.ratio * stable.ms : null;
  const gate = `latency p${String(rule.percentile)}`;
  const reading = { gate, target: target?.ms ?? null, stable: stable?.ms ?? null, limit, samples };
  if (!isEnough(gates, samples, compared) || !target)
    return { ...reading, verdict: 'inconclusive', note: tooFew(gates) };
  // Nothing to compare with. One in the open bucket is known from below only: it may prove a failure, and never that all is well.
  if (limit === null) return { ...reading, verdict: 'pass', note: '' };
  if (target.ms <= limit)
    return target.open
      ? { ...reading, verdict: 'inconclusive', note: 'it is above what the buckets distinguish' }
      : { ...reading, verdict: 'pass', note: '' };
  const lower = percentileBounds(sides.target.buckets, rule.percentile)?.lower;
  const upper = percentileBounds(sides.stable.buckets, rule.percentile)?.upper;
  const carried = lower && upper && !upper.open && lower.ms > rule.slack_ms + rule.ratio * upper.ms;
  if (carried) return { ...reading, verdict: 'fail', note: '' };
  return { ...reading, verdict: 'inconclusive', note: spellBounds(lower, upper) };
}

function spellBounds(lower: Estimate | undefined, upper: Estimate | null | undefined): string {
  const from = `so few requests show only that it is above ${rounded(lower?.ms ?? 0)} ms`;
  const to = upper && !upper.open ? `below ${rounded(upper.ms)} ms` : 'not from above';
  return `${from}, and the stable version ${to}`;
}

function tooFew({ min_samples }: Gates): string {
  return `no verdict below ${String(min_samples)} requests of each side`;
}

function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** What the readings come to: one failure fails, one without a verdict makes the rest inconclusive. */
export function verdictOf(readings: readonly GateReading[]): Verdict {
  if (readings.some((one) => one.verdict === 'fail')) return 'fail';
  return readings.some((one) => one.verdict === 'inconclusive') ? 'inconclusive' : 'pass';
}

/** A reading as a sentence. */
export function spellReading({ gate, verdict, target, stable, limit, samples, note }: GateReading): string {
  const unit = gate === 'errors' ? '%' : 'ms';
  const say = (value: number | null): string => (value === null ? '-' : `${rounded(value)} ${unit}`);
  return (
    `${gate} ${say(target)} of ${String(samples.target)} requests, stable ${say(stable)} of ` +
    `${String(samples.stable)}, limit ${say(limit)}: ${verdict}${note === '' ? '' : ` (${note})`}`
  );
}

export const FAST_GATE = { window_ms: 10_000, requests: 50, percent: 20, ratio: 5 } as const;

/** Why the target is blatantly bad over the last ten seconds, or null. Without a stable rate it is taken as 0. */
export function fastVerdict(stable: Counts, target: Counts): string | null {
  const rate = errorPercent(target);
  const baseline = errorPercent(stable) ?? 0;
  if (rate === null || target.requests < FAST_GATE.requests) return null;
  if (rate < FAST_GATE.percent || rate < FAST_GATE.ratio * baseline) return null;
  const [bad, good] = [rate, baseline].map((one) => String(Math.round(one * 10) / 10));
  return `${bad ?? ''} % of ${String(target.requests)} requests failed within ten seconds, stable ${good ?? ''} %`;
}

/** Null without requests. */
export function errorPercent({ requests, errors }: Counts): number | null {
  return requests === 0 ? null : (100 * errors) / requests;
}

/** `a` and `b` together. */
export function addCounts(a: Counts, b: Counts): Counts {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    ms: a.ms + b.ms,
    buckets: a.buckets.map((one, index) => one + (b.buckets[index] ?? 0)),
  };
}

/** What was counted between two readings of totals; a total that went back says nothing. */
export function countsSince(now: Counts, before: Counts): Counts {
  const buckets = now.buckets.map((one, index) => one - (before.buckets[index] ?? 0));
  const gained: Counts = {
    requests: now.requests - before.requests,
    errors: now.errors - before.errors,
    ms: now.ms - before.ms,
    buckets,
  };
  const wentBack =
    gained.requests < 0 || gained.errors < 0 || gained.ms < 0 || buckets.some((one) => one < 0);
  return wentBack ? NO_COUNTS : gained;
}

/** The counts of `version`; none if nothing was counted. */
export function countsIn(counts: Readonly<Record<string, Counts>>, version: string): Counts {
  return Object.hasOwn(counts, version) ? (counts[version] ?? NO_COUNTS) : NO_COUNTS;
}
