import { formatDuration } from '../../model/duration.js';
import type { Counts, Paused, ReleaseRecord } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type { Verdict } from '../../model/release_gates.js';
import { begin } from './begin.js';
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
import { shareOf } from './shares.js';
import { fullStep, goBack, stepsOf } from './steps.js';

/*
 * A soak and its judgement: what the gates come to, and what follows.
 */

/** One look at a soak: answers that came in, its end, a judgement that is due, or what it waits for. */
export function soak(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const obeyed = listen(record, facts, now);
  if (obeyed) return obeyed;
  const soakMs = soakOf(record) + record.extended_ms;
  if (record.observed_ms >= soakMs) return { moved: beginAnalysis(record, now) };
  const interval = record.observed_ms - record.judged_ms >= record.gates.interval_ms;
  if (interval && verdictOf(readingsOf(record)) === 'fail') return { moved: failed(record, now) };
  if (isDue(record)) return { moved: openInquiry(record, readingsOf(record), now) };
  const left = Math.ceil((soakMs - record.observed_ms) / 1_000);
  const blind = facts.current ? [] : ['ZooKeeper is away'];
  const unobserved = [...blind, ...obedience(facts), ...needed(record, facts)];
  return { waits: [`${String(left)} s more of soaking`, ...unobserved.map((one) => `not counted: ${one}`)] };
}

/** The gates outside are asked last, once the counters found nothing: what failed already needs no further word. */
export function analyse(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const obeyed = listen(record, facts, now);
  if (obeyed) return obeyed;
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
    if (rule === 'extend' && mayExtend(record)) return { moved: extend(record, now) };
    if (rule === 'pause' || rule === 'extend') return { moved: pauseForGate(record, now) };
    verdict = rule;
  }
  if (verdict === 'fail') return { moved: failed(record, now) };
  return begin(record, record.step + 1, facts, now);
}

/** Back at once if the target is blatantly bad; null otherwise. */
export function judgeFast(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome | null {
  const watched = ['progressing', 'paused', 'finalizing'].includes(record.state);
  const served = record.in_place !== null || shareOf(record.shares, record.target) > 0;
  if (!watched || !record.gates.fast || !facts.recent || !served) return null;
  const bad = fastVerdict(countsIn(facts.recent, record.stable), countsIn(facts.recent, record.target));
  if (bad === null) return null;
  return { moved: goBack(withFast(record, facts.recent, now), 'rolled_back', `fast gate: ${bad}`, now) };
}

/** Writes down what the gates outside answered, and then does what the answers leave no doubt about. */
function listen(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome | null {
  const told = takeAnswers(record, facts.answers);
  if (told) return { moved: told };
  const answer = answerOf(record);
  if (answer === 'abort') {
    const said = readOuter(record).filter(({ verdict }) => verdict === 'abort');
    return { moved: goBack(record, 'rolled_back', said.map(spellOuter).join('; '), now) };
  }
  if (answer === 'fail') return { moved: failed(record, now) };
  return answer === 'complete' ? complete(record, facts, now) : null;
}

/** A gate said that nothing more needs to be seen: as promote --full does, unless the counters speak against it. */
function complete(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  if (verdictOf(readingsOf(record)) === 'fail') return { moved: failed(record, now) };
  const index = fullStep(record);
  const said = readOuter(record).filter(({ verdict }) => verdict === 'complete');
  const message = said.map(spellOuter).join('; ');
  const full = record.in_place ? { in_place: { ...record.in_place, full: true } } : {};
  const told = note(record, { event: 'promoted', by: said[0]?.gate ?? 'controller', message }, now, full);
  return begin(told, index, facts, now);
}

/** How long the present step soaks. */
function soakOf(record: ReleaseRecord): number {
  if (record.strategy.kind === 'in_place') return record.strategy.soak_ms;
  const step = stepsOf(record)[record.step];
  return step && 'pause' in step ? (step.pause.for_ms ?? 0) : 0;
}

function beginAnalysis(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = 'the soak is over; judging its window';
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

function mayExtend(record: ReleaseRecord): boolean {
  return soakOf(record) + record.extended_ms < EXTENDED_TIMES * soakOf(record);
}

/** The window goes on for another interval. */
function extend(record: ReleaseRecord, now: number): ReleaseRecord {
  const most = EXTENDED_TIMES * soakOf(record) - soakOf(record);
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

/** One failed judgement: within the limit the soak goes on for another interval, above it the release goes back. */
function failed(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = `gate: ${spellGates(record, 'fail')}`;
  const { failure_limit, interval_ms } = record.gates;
  if (record.failures + 1 > failure_limit) return goBack(record, 'rolled_back', message, now);
  const read = lastReadings(record, now);
  const soak_ms = soakOf(record) + record.extended_ms;
  const observed_ms = Math.min(record.observed_ms, Math.max(0, soak_ms - interval_ms));
  const counted = `${String(record.failures + 1)} of ${String(failure_limit)} failures put up with; ${message}`;
  const event = { event: 'gate_failed', by: 'controller', message: counted };
  return note(record, event, now, {
    phase: 'soaking',
    read,
    failures: record.failures + 1,
    window: null,
    observed_ms,
    judged_ms: observed_ms,
    inquiry: closed(record.inquiry, observed_ms),
    message: counted,
  });
}

function pauseForGate(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = `inconclusive: ${spellGates(record, 'inconclusive')}`;
  const paused: Paused = { cause: 'gate', by: 'controller', message, state: 'progressing', phase: 'soaking' };
  return enter(record, { state: 'paused', paused, event: 'paused', message }, now);
}
