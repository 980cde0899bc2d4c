import { LATENCY_BUCKETS } from '../../model/latency.js';
import type { Counts, Gates, Window } from '../../model/release.js';
import type { GateReading, Verdict } from '../../model/release_gates.js';
import { percentileOf, sampled, type Estimate } from './percentile.js';

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
  const enough = isEnough(gates, samples, compared) && value !== null;
  const verdict = !enough ? 'inconclusive' : value > limit ? 'fail' : 'pass';
  return { gate: 'errors', verdict, target: value, stable: errorPercent(stable), limit, samples };
}

function readLatency(
  gates: Gates,
  rule: NonNullable<Gates['latency']>,
  sides: Window['sum'],
  compared: boolean,
): GateReading {
  const samples = { target: sampled(sides.target.buckets), stable: sampled(sides.stable.buckets) };
  const target = percentileOf(sides.target.buckets, rule.percentile);
  const stable = percentileOf(sides.stable.buckets, rule.percentile);
  const limit = compared && stable ? rule.slack_ms + rule.ratio * stable.ms : null;
  const verdict = isEnough(gates, samples, compared)
    ? compareLatency(target, compared ? stable : null, limit)
    : 'inconclusive';
  const gate = `latency p${String(rule.percentile)}`;
  return { gate, verdict, target: target?.ms ?? null, stable: stable?.ms ?? null, limit, samples };
}

/**
 * A percentile in the open bucket is known from below only: the target's may prove a failure, and never that all is well. The
 * stable one's makes a limit that no target outside of that bucket reaches.
 */
function compareLatency(target: Estimate | null, stable: Estimate | null, limit: number | null): Verdict {
  if (!target) return 'inconclusive';
  if (!stable || limit === null) return 'pass';
  if (target.ms > limit) return 'fail';
  return target.open ? 'inconclusive' : 'pass';
}

/** What the readings come to: one failure fails, one that could not be judged makes the rest inconclusive. */
export function verdictOf(readings: readonly GateReading[]): Verdict {
  if (readings.some((one) => one.verdict === 'fail')) return 'fail';
  return readings.some((one) => one.verdict === 'inconclusive') ? 'inconclusive' : 'pass';
}

/** A reading as a sentence. */
export function spellReading({ gate, verdict, target, stable, limit, samples }: GateReading): string {
  const unit = gate === 'errors' ? '%' : 'ms';
  const say = (value: number | null): string =>
    value === null ? '-' : `${String(Math.round(value * 10) / 10)} ${unit}`;
  return (
    `${gate} ${say(target)} of ${String(samples.target)} requests, stable ${say(stable)} of ` +
    `${String(samples.stable)}, limit ${say(limit)}: ${verdict}`
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
