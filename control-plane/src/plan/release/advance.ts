import {
  hasEnded,
  type Counts,
  type Paused,
  type ReleaseRecord,
  type Shares,
  type TimeSplit,
} from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type { Verdict } from '../../model/release_gates.js';
import { chooseBatch, inPlaceOf } from './batch.js';
import { guardShares, isObeyed, obedience, readiness } from './facts.js';
import {
  addCounts,
  countsSince,
  fastVerdict,
  NO_COUNTS,
  readGates,
  spellReading,
  verdictOf,
} from './gates.js';
import {
  firstBatch,
  goBackInPlace,
  nextBatch,
  progressBatch,
  settleInPlace,
  watchInPlace,
} from './in_place.js';
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
import { assertSound, enter, note } from './record.js';
import { sameShares, shareOf } from './shares.js';
import { beginStep, goBack, sharesAt, stepsOf } from './steps.js';

/*
 * The transition function of docs/explanation/releases.md: from a record, facts and the moment to the next record. At most one
 * move a call, so that each is written before the next one is made. Facts that change nothing change nothing.
 */

/** What came of looking at the facts once. */
export interface Advance {
  readonly record: ReleaseRecord;
  /** True if it must be written before anything else is done; false if only counts went on. */
  readonly moved: boolean;
  /** What the next move waits for, one sentence each; empty once it has ended. */
  readonly waiting_for: readonly string[];
  /** The shares that should stand in the service's own record now, or null. */
  readonly decide: Shares | null;
}

/** Time that passed between two looks counts as observed only up to this. */
export const LOOK_GAP_MS = 5_000;

/** Looks at the facts at `now` (milliseconds of the wall clock). */
export function advance(record: ReleaseRecord, facts: ReleaseFacts, now: number): Advance {
  assertSound(record);
  if (hasEnded(record.state)) return { record, moved: false, waiting_for: [], decide: null };
  const looked = look(record, facts, now);
  const outcome = judgeFast(looked, facts, now) ?? next(looked, facts, now);
  if ('moved' in outcome) return { record: outcome.moved, moved: true, waiting_for: [], decide: null };
  return { record: looked, moved: false, waiting_for: outcome.waits, decide: outcome.decide ?? null };
}

function next(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  switch (record.state) {
    case 'pending':
      if (facts.held.length > 0) return { waits: facts.held };
      return {
        moved: enter(
          record,
          { state: 'preparing', event: 'preparing', message: 'waiting for the gateways' },
          now,
        ),
      };
    case 'preparing':
      return prepare(record, facts, now);
    case 'progressing':
      return progress(record, facts, now);
    case 'paused':
      return { waits: [waitsForPerson(record)] };
    case 'finalizing':
      if (record.in_place) return settleInPlace(record, facts, now);
      return settle(record, facts, now, record.target);
    case 'rolling_back':
      if (record.in_place) return goBackInPlace(record, facts, now);
      return settle(record, facts, now, record.stable);
    default:
      return { waits: [] };
  }
}

function waitsForPerson({ paused }: ReleaseRecord): string {
  if (paused?.cause === 'step') return 'a person: ebbgate release promote';
  if (paused?.cause === 'drain') return `a person: ebbgate release resume, skip or abort (${paused.message})`;
  return `a person: ebbgate release resume, promote or abort (${paused?.message ?? ''})`;
}

function prepare(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const inPlace = record.in_place !== null;
  const waits = [...obedience(facts), ...(inPlace ? [] : readiness(record.target, facts))];
  if (inPlace && waits.length === 0) return firstBatch(record, facts, now);
  return waits.length > 0 ? { waits } : begin(record, 0, facts, now);
}

/** Begins a step, or the next batch, if no guard speaks against it. */
function begin(record: ReleaseRecord, index: number, facts: ReleaseFacts, now: number): Outcome {
  if (record.in_place) return nextBatch(record, facts, now);
  const guards = guardStep(record, index, facts);
  return guards.length > 0 ? { waits: guards } : { moved: beginStep(record, index, now) };
}

/** Why step `index` may not begin now; empty = it may. */
export function guardStep(record: ReleaseRecord, index: number, facts: ReleaseFacts): readonly string[] {
  if (record.in_place) {
    const choice = chooseBatch(record, facts);
    return choice.kind === 'waits' ? choice.waits : [];
  }
  const shares = sharesAt(record, index);
  const needsTarget = shareOf(shares, record.target) > shareOf(record.shares, record.target);
  return [...guardShares(record, facts, shares), ...(needsTarget ? readiness(record.target, facts) : [])];
}

function progress(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const awaited = record.in_place === null || record.phase === 'soaking';
  if (awaited && record.stalled_ms >= record.deadline_ms) {
    const message = `${record.target} had no ready instance for longer than its deadline`;
    return { moved: goBack(record, 'failed', message, now) };
  }
  const judged = record.phase === 'soaking' || record.phase === 'analysing';
  if (record.in_place && !judged) return progressBatch(record, facts, now);
  switch (record.phase) {
    case 'applying':
      if (!facts.published) return { waits: obedience(facts) };
      return { moved: phase(record, 'converging', 'published; waiting for the gateways', now) };
    case 'converging':
      if (!isObeyed(facts)) return { waits: obedience(facts) };
      return { moved: phase(record, 'warming', 'every known gateway obeys', now) };
    case 'warming': {
      const waits = shareOf(record.shares, record.target) > 0 ? readiness(record.target, facts) : [];
      return waits.length > 0 ? { waits } : begin(record, record.step + 1, facts, now);
    }
    case 'soaking':
      return soak(record, facts, now);
    case 'analysing':
      return analyse(record, facts, now);
    default:
      throw new Error(`a weighted release has no phase ${String(record.phase)}`);
  }
}

function phase(
  record: ReleaseRecord,
  to: 'converging' | 'warming' | 'analysing',
  message: string,
  now: number,
): ReleaseRecord {
  const keeps_window = to === 'analysing';
  return enter(record, { state: 'progressing', phase: to, event: to, message, keeps_window }, now);
}

/** How long the present step soaks. */
function soakOf(record: ReleaseRecord): number {
  if (record.strategy.kind === 'in_place') return record.strategy.soak_ms;
  const step = stepsOf(record)[record.step];
  return step && 'pause' in step ? (step.pause.for_ms ?? 0) : 0;
}

function soak(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const obeyed = listen(record, facts, now);
  if (obeyed) return obeyed;
  const soakMs = soakOf(record);
  if (record.observed_ms >= soakMs)
    return { moved: phase(record, 'analysing', 'the soak is over; judging its window', now) };
  const interval = record.observed_ms - record.judged_ms >= record.gates.interval_ms;
  if (interval && verdictOf(readingsOf(record)) === 'fail') return { moved: failed(record, now) };
  if (isDue(record)) return { moved: openInquiry(record, readingsOf(record), now) };
  const left = Math.ceil((soakMs - record.observed_ms) / 1_000);
  const unobserved = [...obedience(facts), ...needed(record, facts)];
  return { waits: [`${String(left)} s more of soaking`, ...unobserved.map((one) => `not counted: ${one}`)] };
}

/** The gates outside are asked last, once the counters found nothing: what failed already needs no further word. */
function analyse(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
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
    if (rule === 'pause') return { moved: pauseForGate(record, now) };
    verdict = rule;
  }
  if (verdict === 'fail') return { moved: failed(record, now) };
  return begin(record, record.step + 1, facts, now);
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
  const last = stepsOf(record).length - 1;
  const index = record.step < last ? last : record.step + 1;
  const said = readOuter(record).filter(({ verdict }) => verdict === 'complete');
  const message = said.map(spellOuter).join('; ');
  const full = record.in_place ? { in_place: { ...record.in_place, full: true } } : {};
  const told = note(record, { event: 'promoted', by: said[0]?.gate ?? 'controller', message }, now, full);
  return begin(told, index, facts, now);
}

/** What the gates read in the present window. */
export function readingsOf(record: ReleaseRecord): ReturnType<typeof readGates> {
  // In place the stable version has no share to tell by: it is there as long as it gets requests.
  const compared = record.in_place
    ? (record.window?.sum.stable.requests ?? 0) > 0
    : shareOf(record.shares, record.stable) > 0;
  return readGates(record.gates, record.window, compared);
}

/** Everything that the gates read, as sentences. */
function spellGates(record: ReleaseRecord): string {
  return [...readingsOf(record).map(spellReading), ...readOuter(record).map(spellOuter)].join('; ');
}

/** One failed judgement: within the limit the soak goes on for another interval, above it the release goes back. */
function failed(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = `gate: ${spellGates(record)}`;
  const { failure_limit, interval_ms } = record.gates;
  if (record.failures + 1 > failure_limit) return goBack(record, 'rolled_back', message, now);
  const observed_ms = Math.min(record.observed_ms, Math.max(0, soakOf(record) - interval_ms));
  const counted = `${String(record.failures + 1)} of ${String(failure_limit)} failures put up with; ${message}`;
  const event = { event: 'gate_failed', by: 'controller', message: counted };
  return note(record, event, now, {
    phase: 'soaking',
    failures: record.failures + 1,
    window: null,
    observed_ms,
    judged_ms: observed_ms,
    inquiry: closed(record.inquiry, observed_ms),
    message: counted,
  });
}

function pauseForGate(record: ReleaseRecord, now: number): ReleaseRecord {
  const message = `inconclusive: ${spellGates(record)}`;
  const paused: Paused = { cause: 'gate', by: 'controller', message, state: 'progressing', phase: 'soaking' };
  return enter(record, { state: 'paused', paused, event: 'paused', message }, now);
}

/** finalizing and rolling_back: `version` serves alone, the service's own record says so, and every gateway obeys. */
function settle(record: ReleaseRecord, facts: ReleaseFacts, now: number, version: string): Outcome {
  const shares = { [version]: 100 };
  const waits = [...obedience(facts), ...readiness(version, facts)];
  // Written down only once somebody can serve it: after the release nobody gives a dead version's share back.
  if (waits.length > 0) return { waits };
  if (!sameShares(facts.decided, shares))
    return { waits: [`the shares of ${record.service} being written down`], decide: shares };
  if (record.state === 'finalizing') {
    const message = `${record.target} serves alone`;
    return { moved: enter(record, { state: 'succeeded', event: 'succeeded', message }, now) };
  }
  const ending = record.ending ?? 'rolled_back';
  const message = `${record.stable} serves alone; ${record.message}`;
  return { moved: enter(record, { state: ending, event: ending, message }, now) };
}

function judgeFast(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome | null {
  const watched = ['progressing', 'paused', 'finalizing'].includes(record.state);
  const served = record.in_place !== null || shareOf(record.shares, record.target) > 0;
  if (!watched || !record.gates.fast || !facts.recent || !served) return null;
  const bad = fastVerdict(countsIn(facts.recent, record.stable), countsIn(facts.recent, record.target));
  return bad === null ? null : { moved: goBack(record, 'rolled_back', `fast gate: ${bad}`, now) };
}

/** What only counts: times, the soak, the window. The same facts at the same moment add nothing. */
function look(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord {
  const span = Math.max(0, now - record.looked_at);
  const watched = span <= LOOK_GAP_MS && record.looked_by === facts.watcher ? span : 0;
  const inStep = record.state === 'progressing';
  const soaking = inStep && record.phase === 'soaking';
  const lacking = inStep && needed(record, facts).length > 0;
  const { observed, stalled } = inPlaceOf(record)
    ? watchInPlace(record, facts)
    : { observed: soaking && isObeyed(facts) && !lacking, stalled: lacking };
  const windowed = soaking || record.phase === 'analysing';
  return {
    ...record,
    looked_at: Math.max(now, record.looked_at),
    looked_by: facts.watcher,
    times: split(record, span),
    observed_ms: record.observed_ms + (observed ? watched : 0),
    stalled_ms: stalled ? record.stalled_ms + watched : 0,
    window: windowed ? widen(record, facts) : record.window,
  };
}

function split(record: ReleaseRecord, span: number): TimeSplit {
  const { state, phase, times } = record;
  const settling =
    state === 'preparing' || state === 'finalizing' || (state === 'rolling_back' && phase === null);
  const into: keyof TimeSplit =
    state === 'paused'
      ? 'paused_ms'
      : phase === 'draining' || phase === 'upgrading'
        ? `${phase}_ms`
        : settling || phase === 'applying' || phase === 'converging'
          ? 'converging_ms'
          : 'active_ms';
  return { ...times, [into]: times[into] + span };
}

function widen(record: ReleaseRecord, facts: ReleaseFacts): ReleaseRecord['window'] {
  if (!facts.totals) return record.window;
  const { totals, watcher } = facts;
  const last = { stable: countsIn(totals, record.stable), target: countsIn(totals, record.target) };
  const before = record.window;
  if (!before) return { watcher, last, sum: { stable: NO_COUNTS, target: NO_COUNTS } };
  if (before.watcher !== watcher) return { ...before, watcher, last };
  const sum = {
    stable: addCounts(before.sum.stable, countsSince(last.stable, before.last.stable)),
    target: addCounts(before.sum.target, countsSince(last.target, before.last.target)),
  };
  return { watcher, last, sum };
}

function countsIn(counts: Readonly<Record<string, Counts>>, version: string): Counts {
  return Object.hasOwn(counts, version) ? (counts[version] ?? NO_COUNTS) : NO_COUNTS;
}

/** A target that has a share needs somebody to serve it. */
function needed(record: ReleaseRecord, facts: ReleaseFacts): readonly string[] {
  return shareOf(record.shares, record.target) > 0 ? readiness(record.target, facts) : [];
}
