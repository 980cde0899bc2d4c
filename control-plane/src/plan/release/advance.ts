import { formatDuration } from '../../model/duration.js';
import {
  type ReleaseEnding,
  type ReleaseRecord,
  type Shares,
  type TimeSplit,
  hasEnded,
} from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { lateTarget, obedience } from './facts.js';
import { addCounts, countsIn, countsSince, NO_COUNTS } from './gates.js';
import type { Outcome } from './outcome.js';
import { assertSound, enter, note } from './record.js';
import { analyse, checkFast, soak, type Verdicts } from './soak.js';
import { strategyOf } from './strategy/of.js';
import type { ReleaseStrategy } from './strategy/strategy.js';

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
  /** The shares that should be written in the service's own record now, or null. */
  readonly write_shares: Shares | null;
}

/** Time that passed between two looks counts as observed only up to this. */
export const LOOK_GAP_MS = 5_000;

/** Looks at the facts at `now` (milliseconds of the wall clock). */
export function advance(record: ReleaseRecord, facts: ReleaseFacts, now: number): Advance {
  assertSound(record);
  if (hasEnded(record.state)) return { record, moved: false, waiting_for: [], write_shares: null };
  const strategy = strategyOf(record);
  const wrong = strategy.unsound(record);
  if (wrong !== null) throw new Error(`release ${record.id} is not sound: ${wrong}`);
  const looked = look(strategy, record, facts, now);
  const fast = checkFast(looked, facts, now);
  const outcome = fast ? follow(strategy, fast, facts, now) : next(strategy, looked, facts, now);
  const said = 'moved' in outcome ? null : stillWaiting(looked, outcome.waits, now);
  if (said) return { record: said, moved: true, waiting_for: [], write_shares: null };
  if ('moved' in outcome) return { record: outcome.moved, moved: true, waiting_for: [], write_shares: null };
  return {
    record: looked,
    moved: false,
    waiting_for: outcome.waits,
    write_shares: outcome.write_shares ?? null,
  };
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

function next(strategy: ReleaseStrategy, record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  switch (record.state) {
    case 'pending': {
      const given = strategy.giveBack(record, facts, now);
      if (given) return { moved: given };
      if (facts.blocked_by.length > 0) return { waits: facts.blocked_by };
      const message = 'waiting for the gateways';
      return { moved: enter(record, { state: 'preparing', event: 'preparing', message }, now) };
    }
    case 'preparing':
      return prepare(strategy, record, facts, now);
    case 'progressing':
      return progress(strategy, record, facts, now);
    case 'paused': {
      const given = strategy.giveBack(record, facts, now);
      return given ? { moved: given } : { waits: [waitsForPerson(record)] };
    }
    case 'finalizing':
      return strategy.finish(record, facts, now);
    case 'rolling_back':
      return strategy.goBack(record, facts, now);
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

function prepare(
  strategy: ReleaseStrategy,
  record: ReleaseRecord,
  facts: ReleaseFacts,
  now: number,
): Outcome {
  const given = strategy.giveBack(record, facts, now);
  if (given) return { moved: given };
  const waits = [...obedience(facts), ...strategy.awaits(record, facts)];
  const outcome = waits.length > 0 ? { waits } : strategy.begin(record, facts, now);
  if ('moved' in outcome || facts.blocked_by.length > 0 || record.stalled_ms < record.start_deadline_ms)
    return outcome;
  const late = formatDuration(record.start_deadline_ms);
  const message = `it could not begin within ${late}: it waited for ${outcome.waits.join('; ')}`;
  return { moved: rollBack(strategy, record, 'failed', message, now) };
}

function progress(
  strategy: ReleaseStrategy,
  record: ReleaseRecord,
  facts: ReleaseFacts,
  now: number,
): Outcome {
  if (record.phase !== 'soaking' && record.phase !== 'analysing') return strategy.advance(record, facts, now);
  const late = lateTarget(record);
  if (late !== null) return { moved: rollBack(strategy, record, 'failed', late, now) };
  const look = record.phase === 'soaking' ? soak : analyse;
  return follow(strategy, look(record, strategy.soakMs(record), facts, now), facts, now);
}

/** What the strategy makes of a verdict. */
function follow(strategy: ReleaseStrategy, verdict: Verdicts, facts: ReleaseFacts, now: number): Outcome {
  if ('back' in verdict)
    return { moved: rollBack(strategy, verdict.back, 'rolled_back', verdict.message, now) };
  if ('passed' in verdict) return strategy.next(verdict.passed, facts, now);
  if (!('complete' in verdict)) return verdict;
  const { complete, by, message } = verdict;
  return strategy.complete(complete, facts, { by, message, now });
}

function rollBack(
  strategy: ReleaseStrategy,
  record: ReleaseRecord,
  ending: ReleaseEnding,
  message: string,
  now: number,
): ReleaseRecord {
  return strategy.rollBack(record, ending, { by: 'controller', message, now });
}

/** What only counts: times, the soak, the window. The same facts at the same moment add nothing. */
function look(
  strategy: ReleaseStrategy,
  record: ReleaseRecord,
  facts: ReleaseFacts,
  now: number,
): ReleaseRecord {
  const span = Math.max(0, now - record.looked_at);
  const watched = span <= LOOK_GAP_MS && record.looked_by === facts.watcher ? span : 0;
  const { observed, stalled } = strategy.observe(record, facts);
  const soaking = record.state === 'progressing' && record.phase === 'soaking';
  const windowed = soaking || record.phase === 'analysing';
  const delayed = record.observed_ms < record.gates.delay_ms;
  const starting = record.state === 'preparing';
  const frozen = !facts.current || (starting && facts.blocked_by.length > 0);
  return {
    ...record,
    looked_at: lookedAt(record, now),
    looked_by: facts.watcher,
    times: split(record, span),
    // While ZooKeeper is away nobody knows who is there: that counts for nothing, and ends nothing that was counted.
    observed_ms: record.observed_ms + (observed && facts.current ? watched : 0),
    stalled_ms: frozen ? record.stalled_ms : stalled || starting ? record.stalled_ms + watched : 0,
    window: windowed && !delayed ? widen(record, facts) : record.window,
    strategy: strategy.foresee(record, facts),
  };
}

/**
 * A clock that went back a little is waited for; one that was set back counts on from where it is. Forward again neither is
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
