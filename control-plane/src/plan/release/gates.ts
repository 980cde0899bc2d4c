import type { Counts, Gates, Window } from '../../model/release.js';

/*
 * Whether the target is as good as the stable version, from what the gateways counted for both over the same time.
 */

export type Verdict = 'pass' | 'fail' | 'inconclusive';

/** One gate as it was read: what a person is shown. */
export interface GateReading {
  readonly gate: 'errors' | 'latency';
  readonly verdict: Verdict;
  /** In percent for errors, in milliseconds for latency; null without samples. */
  readonly target: number | null;
  readonly stable: number | null;
  /** The target fails above it; null while nothing can be compared. */
  readonly limit: number | null;
  readonly samples: { readonly target: number; readonly stable: number };
}

export const NO_COUNTS: Counts = { requests: 0, errors: 0, ms: 0 };

/** Every gate that is asked for, read over `window`. `compared`: the stable version has a share to compare with. */
export function readGates(gates: Gates, window: Window | null, compared: boolean): readonly GateReading[] {
  const { stable, target } = window?.sum ?? { stable: NO_COUNTS, target: NO_COUNTS };
  const samples = { target: target.requests, stable: stable.requests };
  const enough = target.requests >= gates.min_samples && (!compared || stable.requests >= gates.min_samples);
  const readings: GateReading[] = [];
  const read = (gate: GateReading['gate'], of: typeof errorPercent, limit: number | null): void => {
    const value = of(target);
    const verdict =
      !enough || value === null ? 'inconclusive' : limit !== null && value > limit ? 'fail' : 'pass';
    readings.push({ gate, verdict, target: value, stable: of(stable), limit, samples });
  };
  const { errors, latency } = gates;
  const baseline = compared ? (errorPercent(stable) ?? 0) : 0;
  if (errors) read('errors', errorPercent, Math.max(errors.max_percent, errors.ratio * baseline));
  const mean = compared ? meanMs(stable) : null;
  if (latency) read('latency', meanMs, mean === null ? null : latency.slack_ms + latency.ratio * mean);
  return readings;
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
  const what = gate === 'errors' ? 'errors' : 'mean latency';
  return (
    `${what} ${say(target)} of ${String(samples.target)} requests, stable ${say(stable)} of ` +
    `${String(samples.stable)}, limit ${say(limit)}: ${verdict}`
  );
}

export const FAST_GATE = { window_ms: 10_000, requests: 50, percent: 20, ratio: 5 } as const;

/** Why the target is blatantly bad over the last ten seconds, or null. Without a stable rate it is taken as 0. */
export function fastVerdict(stable: Counts, target: Counts): string | null {
  const rate = errorPercent(target);
  const baseline = errorPercent(stable) ?? 0;
  if (rate === null || target.requests < FAST_GATE.requests) return null;
  if (rate <= FAST_GATE.percent || rate < FAST_GATE.ratio * baseline) return null;
  const [bad, good] = [rate, baseline].map((one) => String(Math.round(one * 10) / 10));
  return `${bad ?? ''} % of ${String(target.requests)} requests failed within ten seconds, stable ${good ?? ''} %`;
}

/** Null without requests. */
export function errorPercent({ requests, errors }: Counts): number | null {
  return requests === 0 ? null : (100 * errors) / requests;
}

/** Null without requests. */
export function meanMs({ requests, ms }: Counts): number | null {
  return requests === 0 ? null : ms / requests;
}

/** `a` and `b` together. */
export function addCounts(a: Counts, b: Counts): Counts {
  return { requests: a.requests + b.requests, errors: a.errors + b.errors, ms: a.ms + b.ms };
}

/** What was counted between two readings of totals; a total that went back says nothing. */
export function countsSince(now: Counts, before: Counts): Counts {
  if (now.requests < before.requests || now.errors < before.errors || now.ms < before.ms) return NO_COUNTS;
  return {
    requests: now.requests - before.requests,
    errors: now.errors - before.errors,
    ms: now.ms - before.ms,
  };
}
