import { formatDuration } from '../../model/duration.js';
import type { Paused, ReleaseRecord } from '../../model/release.js';
import type { Counts, Verdict } from '../../model/release_gates.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { needed, obedience } from './facts.js';
import { countsIn, errorPercent, FAST_GATE, fastVerdict, spellReading, verdictOf } from './gates.js';
import {
  answerOf,
  closed,
  isDue,
  openInquiry,
  outerGates,
  readOuter,
  spellOuter,
  takeAnswers,
  unanswered,
  waitsAgain,
} from './inquiry.js';
import type { Outcome } from './outcome.js';
import { allReadings, lastReadings, readingsOf } from './readings.js';
import { enter, note } from './record.js';
import { isByWeights, shareOf } from './shares.js';

/*
 * A soak and the verdict at its end: what the gates come to. What follows is up to the strategy.
 */

/** What one look comes to. */
export type Verdicts =
  | Outcome
  /** `record` goes back, for the reason in `message`. */
  | { readonly back: ReleaseRecord; readonly message: string }
  /** The gates passed. */
  | { readonly passed: ReleaseRecord }
  /** The gate `by` said that nothing more needs to be seen. */
  | { readonly complete: ReleaseRecord; readonly by: string; readonly message: string };

/** One look at a soak of `soakMs`: answers that came in, its end, gates that are due, or what it waits for. */
export function soak(record: ReleaseRecord, soakMs: number, facts: ReleaseFacts, now: number): Verdicts {
  const answered = listen(record, soakMs, facts, now);
  if (answered) return answered;
  const wholeMs = soakMs + record.extended_ms;
  if (record.observed_ms >= wholeMs) return { moved: beginAnalysis(record, now) };
  const interval = record.observed_ms - record.checked_ms >= record.gates.interval_ms;
  if (interval && verdictOf(readingsOf(record)) === 'fail') return failed(record, soakMs, now);
  if (isDue(record)) return { moved: openInquiry(record, readingsOf(record), now) };
  const left = Math.ceil((wholeMs - record.observed_ms) / 1_000);
  const blind = facts.current ? [] : ['ZooKeeper is away'];
  const unobserved = [...blind, ...obedience(facts), ...needed(record, facts)];
  return { waits: [`${String(left)} s more of soaking`, ...unobserved.map((one) => `not counted: ${one}`)] };
}

/** The gates outside are asked last, once the counters found nothing: what failed already needs no further word. */
export function analyse(record: ReleaseRecord, soakMs: number, facts: ReleaseFacts, now: number): Verdicts {
  const answered = listen(record, soakMs, facts, now);
  if (answered) return answered;
  let verdict: Verdict = verdictOf(readingsOf(record));
  if (verdict !== 'fail' && outerGates(record.gates).length > 0) {
    if (!record.inquiry?.open) return { moved: openInquiry(record, readingsOf(record), now) };
    const waits = unanswered(record).map((gate) => `an answer of ${gate}`);
    if (waits.length > 0) return { waits };
    const answer = answerOf(record);
    if (answer === 'wait') {
      const again = waitsAgain(record, now);
      return again ? { waits: again } : { moved: openInquiry(record, readingsOf(record), now) };
    }
    if (answer === 'inconclusive') verdict = 'inconclusive';
  }
  if (verdict === 'inconclusive') {
    const { on_inconclusive: rule } = record.gates;
    if (rule === 'extend' && mayExtend(record, soakMs)) return { moved: extend(record, soakMs, now) };
    if (rule === 'pause' || rule === 'extend') return { moved: pauseForGate(record, now) };
    verdict = rule;
  }
  return verdict === 'fail' ? failed(record, soakMs, now) : { passed: record };
}

/** Back at once if the target is blatantly bad; null otherwise. */
export function checkFast(record: ReleaseRecord, facts: ReleaseFacts, now: number): Verdicts | null {
  const watched = ['progressing', 'paused', 'finalizing'].includes(record.state);
  const served = isByWeights(record.shares) || shareOf(record.shares, record.target) > 0;
  if (!watched || !record.gates.fast || !facts.recent || !served) return null;
  const bad = fastVerdict(countsIn(facts.recent, record.stable), countsIn(facts.recent, record.target));
  return bad === null ? null : { back: withFast(record, facts.recent, now), message: `fast gate: ${bad}` };
}

/** Writes down what the gates outside answered, and then does what the answers leave no doubt about. */
function listen(record: ReleaseRecord, soakMs: number, facts: ReleaseFacts, now: number): Verdicts | null {
  const taken = takeAnswers(record, facts.answers);
  if (taken) return { moved: taken };
  const answer = answerOf(record);
  const said = readOuter(record).filter(({ verdict }) => verdict === answer);
  const message = said.map(spellOuter).join('; ');
  if (answer === 'abort') return { back: record, message };
  if (answer === 'fail') return failed(record, soakMs, now);
  if (answer !== 'complete') return null;
  // As promote --full does, unless the counters speak against it.
  if (verdictOf(readingsOf(record)) === 'fail') return failed(record, soakMs, now);
  return { complete: record, by: said[0]?.gate ?? 'controller', message };
}

function beginAnalysis(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = 'the soak is over; its window gets a verdict';
  const to = { state: 'progressing', phase: 'analysing', event: 'analysing', message } as const;
  return enter(record, { ...to, keeps_window: true }, now);
}

/** What the gates that came to this verdict read, as sentences. */
function spellGates(record: ReleaseRecord, verdict: Verdict): string {
  return [
    ...readingsOf(record)
      .filter((one) => one.verdict === verdict)
      .map(spellReading),
    ...readOuter(record)
      .filter((one) => one.verdict === verdict)
      .map(spellOuter),
  ].join('; ');
}

/** A soak is extended to so many times its length at most. */
const EXTENDED_TIMES = 4;

function mayExtend(record: ReleaseRecord, soakMs: number): boolean {
  return soakMs + record.extended_ms < EXTENDED_TIMES * soakMs;
}

/** The window goes on for another interval. */
function extend(record: ReleaseRecord, soakMs: number, now: number): ReleaseRecord {
  const most = EXTENDED_TIMES * soakMs - soakMs;
  const extended_ms = Math.min(most, record.extended_ms + record.gates.interval_ms);
  const message = `the soak goes on, by ${formatDuration(extended_ms)} so far; inconclusive: ${spellGates(record, 'inconclusive')}`;
  const inquiry = closed(record.inquiry, record.observed_ms);
  const changes = { phase: 'soaking', extended_ms, inquiry, message } as const;
  return note(record, { event: 'extended', by: 'controller', message }, now, changes);
}

/** The record with what the fast gate read, beside what the others read. */
function withFast(
  record: ReleaseRecord,
  recent: Readonly<Record<string, Counts>>,
  now: number,
): ReleaseRecord {
  const [target, stable] = [countsIn(recent, record.target), countsIn(recent, record.stable)];
  const value = errorPercent(target);
  const limit = Math.max(FAST_GATE.percent, FAST_GATE.ratio * (errorPercent(stable) ?? 0));
  const samples = { target: target.requests, stable: stable.requests };
  const fast = { gate: 'fast', verdict: 'fail', value, limit, message: 'within ten seconds' } as const;
  const gates = [...allReadings(record), { ...fast, target: value, stable: errorPercent(stable), samples }];
  return { ...record, window: null, read: { at: new Date(now).toISOString(), step: record.step, gates } };
}

/** One failed verdict: within the limit the soak goes on for another interval, above it the release goes back. */
function failed(record: ReleaseRecord, soakMs: number, now: number): Verdicts {
  const message = `gate: ${spellGates(record, 'fail')}`;
  const { failure_limit, interval_ms } = record.gates;
  if (record.failures + 1 > failure_limit) return { back: record, message };
  const read = lastReadings(record, now);
  const wholeMs = soakMs + record.extended_ms;
  const observed_ms = Math.min(record.observed_ms, Math.max(0, wholeMs - interval_ms));
  const counted = `${String(record.failures + 1)} of ${String(failure_limit)} failures tolerated; ${message}`;
  const event = { event: 'gate_failed', by: 'controller', message: counted };
  const moved = note(record, event, now, {
    phase: 'soaking',
    read,
    failures: record.failures + 1,
    window: null,
    observed_ms,
    checked_ms: observed_ms,
    inquiry: closed(record.inquiry, observed_ms),
    message: counted,
  });
  return { moved };
}

function pauseForGate(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = `inconclusive: ${spellGates(record, 'inconclusive')}`;
  const paused: Paused = { cause: 'gate', by: 'controller', message, state: 'progressing', phase: 'soaking' };
  return enter(record, { state: 'paused', paused, event: 'paused', message }, now);
}
