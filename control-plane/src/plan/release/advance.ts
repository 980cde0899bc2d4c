import { hasEnded, type ReleaseRecord, type Shares, type TimeSplit } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { estimateBatches, inPlaceOf } from './batch.js';
import { formatDuration } from '../../model/duration.js';
import { begin } from './begin.js';
import { isObeyed, needed, obedience, readiness } from './facts.js';
import { addCounts, countsIn, countsSince, NO_COUNTS } from './gates.js';
import {
  firstBatch,
  goBackInPlace,
  progressBatch,
  retreat,
  settleInPlace,
  watchInPlace,
} from './in_place.js';
import { analyse, judgeFast, soak } from './judge.js';
import type { Outcome } from './outcome.js';
import { assertSound, enter, note } from './record.js';
import { sameShares, shareOf } from './shares.js';
import { goBack } from './steps.js';

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
  const said = 'moved' in outcome ? null : stillWaiting(looked, outcome.waits, now);
  if (said) return { record: said, moved: true, waiting_for: [], decide: null };
  if ('moved' in outcome) return { record: outcome.moved, moved: true, waiting_for: [], decide: null };
  return { record: looked, moved: false, waiting_for: outcome.waits, decide: outcome.decide ?? null };
}

/** What waits in one place for so long says so once more in its events, and the controller in its log. */
const LONG_MS = 600_000;

function stillWaiting(record: ReleaseRecord, waits: readonly string[], now: number): ReleaseRecord | null {
  if (waits.length === 0 || record.phase === 'soaking' || now - Date.parse(record.since) < LONG_MS)
    return null;
  if (record.events.some(({ event, at }) => event === 'still_waiting' && at >= record.since)) return null;
  const message = `for ${formatDuration(LONG_MS)}: ${waits.join('; ')}`;
  return note(record, { event: 'still_waiting', by: 'controller', message }, now);
}

function next(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  switch (record.state) {
    case 'pending': {
      const given = record.in_place ? retreat(record, facts, now) : null;
      if (given) return { moved: given };
      if (facts.held.length > 0) return { waits: facts.held };
      return {
        moved: enter(
          record,
          { state: 'preparing', event: 'preparing', message: 'waiting for the gateways' },
          now,
        ),
      };
    }
    case 'preparing':
      return prepare(record, facts, now);
    case 'progressing':
      return progress(record, facts, now);
    case 'paused': {
      const given = record.in_place ? retreat(record, facts, now) : null;
      return given ? { moved: given } : { waits: [waitsForPerson(record)] };
    }
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
  const under = paused?.over ? `; below it ${String(paused.over.length)} more` : '';
  if (paused?.cause === 'step') return 'a person: ebbgate release promote';
  if (paused?.cause === 'drain') return `a person: ebbgate release resume, skip or abort (${paused.message})`;
  return `a person: ebbgate release resume, promote or abort (${paused?.message ?? ''}${under})`;
}

function prepare(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  const inPlace = record.in_place !== null;
  const given = inPlace ? retreat(record, facts, now) : null;
  if (given) return { moved: given };
  // By steps the guards are asked for the step; a batch that was taken over is not chosen any more.
  const waits = [...obedience(facts), ...(inPlace ? facts.held : readiness(record.target, facts))];
  const outcome =
    waits.length > 0 ? { waits } : inPlace ? firstBatch(record, facts, now) : begin(record, 0, facts, now);
  if ('moved' in outcome || facts.held.length > 0 || record.stalled_ms < record.start_deadline_ms)
    return outcome;
  const late = formatDuration(record.start_deadline_ms);
  const message = `it could not begin within ${late}: it waited for ${outcome.waits.join('; ')}`;
  return { moved: goBack(record, 'failed', message, now) };
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
  to: 'converging' | 'warming',
  message: string,
  now: number,
): ReleaseRecord {
  return enter(record, { state: 'progressing', phase: to, event: to, message }, now);
}

/** finalizing and rolling_back: `version` serves alone, the service's own record says so, and every gateway obeys. */
function settle(record: ReleaseRecord, facts: ReleaseFacts, now: number, version: string): Outcome {
  const shares = { [version]: 100 };
  // Of what never began there is nothing to take back, and nothing to wait for.
  const idle = record.turned?.begun === false;
  const waits = idle ? [] : [...obedience(facts), ...readiness(version, facts)];
  // Written down only once somebody can serve it: after the release nobody gives a dead version's share back.
  if (waits.length > 0) return { waits };
  if (!sameShares(facts.decided, shares))
    return { waits: [`the shares of ${record.service} being written down`], decide: shares };
  if (record.state === 'finalizing') {
    const message = `${record.target} serves alone`;
    return { moved: enter(record, { state: 'succeeded', event: 'succeeded', message }, now) };
  }
  const ending = record.ending ?? 'rolled_back';
  const message = `${record.stable} ${idle ? 'has every share' : 'serves alone'}; ${record.message}`;
  return { moved: enter(record, { state: ending, event: ending, message }, now) };
}

/** In place: how many batches it comes to, as long as none has begun. */
function planned(record: ReleaseRecord, facts: ReleaseFacts): ReleaseRecord['in_place'] {
  const { in_place, state } = record;
  if (!in_place || (state !== 'pending' && state !== 'preparing')) return in_place;
  const carried = in_place.batch.length > 0 ? 1 : 0;
  return { ...in_place, planned: carried + estimateBatches(record, facts).length };
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
  const delayed = record.observed_ms < record.gates.delay_ms;
  const starting = record.state === 'preparing';
  const frozen = !facts.current || (starting && facts.held.length > 0);
  return {
    ...record,
    looked_at: lookedAt(record, now),
    looked_by: facts.watcher,
    times: split(record, span),
    // While ZooKeeper is away nobody knows who is there: that counts for nothing, and ends nothing that was counted.
    observed_ms: record.observed_ms + (observed && facts.current ? watched : 0),
    stalled_ms: frozen ? record.stalled_ms : stalled || starting ? record.stalled_ms + watched : 0,
    window: windowed && !delayed ? widen(record, facts) : record.window,
    in_place: planned(record, facts),
  };
}

/**
 * A clock that went back a little is waited for; one that was set back counts on from where it stands. Forward again neither is
 * counted twice: more than the same gap at once is not observed.
 */
function lookedAt({ looked_at }: ReleaseRecord, now: number): number {
  return looked_at - now > LOOK_GAP_MS ? now : Math.max(now, looked_at);
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
