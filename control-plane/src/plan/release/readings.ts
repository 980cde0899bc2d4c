import type { ReleaseRecord } from '../../model/release.js';
import type { KeptReading, LastReadings } from '../../model/release_gates.js';
import { FAST_GATE, readGates } from './gates.js';
import { readOuter } from './inquiry.js';
import { isByWeights, shareOf } from './shares.js';

/*
 * What the gates of a release read, and their rules.
 */

/** What the gates that count read in the present window. */
export function readingsOf(record: ReleaseRecord): ReturnType<typeof readGates> {
  // Without a share of its own, or where both are the same version, the stable one is there as long as it gets requests.
  const { shares, stable, target, window } = record;
  const counted = isByWeights(shares) || stable === target;
  const compared = counted ? (window?.sum.stable.requests ?? 0) > 0 : shareOf(shares, stable) > 0;
  return readGates(record.gates, record.window, compared);
}

/** Every gate as it is read now: those that count, then those that are asked. */
export function allReadings(record: ReleaseRecord): readonly KeptReading[] {
  const counted = readingsOf(record).map(({ note, ...one }) => ({
    ...one,
    value: one.target,
    message: note,
  }));
  const asked = readOuter(record).map((one) => ({ ...one, target: null, stable: null, samples: null }));
  return [...counted, ...asked];
}

/** What is kept of a window that is over; what was read before, if nothing was counted in it. */
export function lastReadings(record: ReleaseRecord, now: number): LastReadings | null {
  const { sum } = record.window ?? {};
  const answered = Object.keys(record.inquiry?.answers ?? {}).length > 0;
  if (!answered && (sum?.target.requests ?? 0) + (sum?.stable.requests ?? 0) === 0) return record.read;
  return { at: new Date(now).toISOString(), step: record.step, gates: allReadings(record) };
}

/** The gates of a release, one sentence each. */
export function spellRules({ gates }: ReleaseRecord): readonly string[] {
  const { errors, latency, webhooks, prometheus, min_samples, fast } = gates;
  const of = `of ${String(min_samples)} requests of each side and more`;
  return [
    ...(errors
      ? [
          `errors: above ${String(errors.max_percent)} % and ${String(errors.ratio)} × the stable version's, ${of}`,
        ]
      : []),
    ...(latency
      ? [
          `latency: p${String(latency.percentile)} above ${String(latency.slack_ms)} ms + ${String(latency.ratio)} × the stable version's, ${of}`,
        ]
      : []),
    ...(fast
      ? [
          `fast: ${String(FAST_GATE.percent)} % errors of ${String(FAST_GATE.requests)} requests within ten seconds`,
        ]
      : []),
    ...webhooks.map(({ name }) => `webhook ${name}: it says abort`),
    ...prometheus.map(({ name, min, max }) => {
      const limits = [
        ...(min === null ? [] : [`below ${String(min)}`]),
        ...(max === null ? [] : [`above ${String(max)}`]),
      ];
      return `prometheus ${name}: ${limits.join(' or ')}`;
    }),
  ];
}
