import {
  type Paused,
  type ReleaseEnding,
  type ReleaseEvent,
  type ReleasePhase,
  type ReleaseRecord,
  type ReleaseState,
  type Shares,
  type Turned,
  hasEnded,
} from '../../model/release.js';
import type { Strategy } from '../../model/release_strategy.js';
import { isObject } from '../../model/shape.js';
import { keepEvents } from '../../model/people.js';
import { closed } from './inquiry.js';
import { lastReadings } from './readings.js';

/** How many events of people, how many of the controller, and how many obeyed verbs a record keeps. */
export const KEPT_EVENTS = 50;
export const KEPT_VERBS = 20;
const MESSAGE_CHARACTERS = 1_000;
/** Of an instance: a batch may contain hundreds. */
const REASON_CHARACTERS = 200;

/** What a move changes; everything about the phase begins again unless it is named here. */
export interface Move {
  readonly state: ReleaseState;
  readonly phase?: ReleasePhase;
  readonly step?: number;
  readonly attempt?: number;
  readonly shares?: Shares;
  readonly paused?: Paused;
  readonly ending?: ReleaseEnding;
  readonly turned?: Turned;
  readonly strategy?: Strategy;
  /** The window, its verdicts and what was observed go on. */
  readonly keeps_window?: boolean;
  readonly event: string;
  readonly message: string;
  readonly by?: string;
}

/** The one setter of a release's state. `now` is milliseconds of the wall clock. */
export function enter(record: ReleaseRecord, move: Move, now: number): ReleaseRecord {
  assertSound(record);
  if (hasEnded(record.state)) throw new Error(`release ${record.id} has ended ${record.state}`);
  const at = new Date(now).toISOString();
  const fresh =
    move.keeps_window === true ? {} : { observed_ms: 0, window: null, checked_ms: 0, extended_ms: 0 };
  const otherStep = (move.step ?? record.step) !== record.step || move.attempt !== undefined;
  const asked_ms = move.keeps_window === true ? undefined : 0;
  const next: ReleaseRecord = {
    ...record,
    ...fresh,
    rev: record.rev + 1,
    state: move.state,
    phase: move.phase ?? null,
    step: move.step ?? record.step,
    attempt: move.attempt ?? (otherStep ? 1 : record.attempt),
    failures: otherStep ? 0 : record.failures,
    inquiry: otherStep ? null : closed(record.inquiry, asked_ms),
    stalled_ms: 0,
    shares: move.shares ?? record.shares,
    paused: move.paused ?? null,
    read: lastReadings(record, now),
    turned: move.turned ?? record.turned,
    ending: move.ending ?? record.ending,
    strategy: move.strategy ?? record.strategy,
    message: move.message,
    since: at,
    ended_at: hasEnded(move.state) ? at : null,
    events: withEvent(record, { at, event: move.event, by: move.by ?? 'controller', message: move.message }),
  };
  assertSound(next);
  return bounded(next);
}

/** The record with a line of history, and nothing else changed. */
export function note(
  record: ReleaseRecord,
  event: Omit<ReleaseEvent, 'at' | 'n'>,
  now: number,
  changes: Partial<ReleaseRecord> = {},
): ReleaseRecord {
  const at = new Date(now).toISOString();
  return bounded({ ...record, ...changes, rev: record.rev + 1, events: withEvent(record, { at, ...event }) });
}

/** The record with every text that is made of many sentences cut: what is too long could not be read back. */
function bounded(record: ReleaseRecord): ReleaseRecord {
  const { paused, strategy, read } = record;
  return {
    ...record,
    message: clipped(record.message),
    paused: paused && {
      ...paused,
      message: clipped(paused.message),
      ...(paused.over && {
        over: paused.over.map((one) => ({ ...one, message: clipped(one.message, 200) })),
      }),
    },
    read: read && { ...read, gates: read.gates.map((one) => ({ ...one, message: clipped(one.message) })) },
    strategy: { ...strategy, progress: withShortReasons(strategy.progress) } as Strategy,
  };
}

/** Every `reason` in the progress of a strategy cut, however deep. */
function withShortReasons(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return name === 'reason' ? clipped(value, REASON_CHARACTERS) : value;
  if (Array.isArray(value)) return value.map((one) => withShortReasons(one));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withShortReasons(one, key)]));
}

function withEvent(record: ReleaseRecord, event: Omit<ReleaseEvent, 'n'>): readonly ReleaseEvent[] {
  const n = (record.events.at(-1)?.n ?? 0) + 1;
  const events = [...record.events, { n, ...event, message: clipped(event.message) }];
  return keepEvents(events, { people: KEPT_EVENTS, others: KEPT_EVENTS });
}

function clipped(message: string, most: number = MESSAGE_CHARACTERS): string {
  return message.length <= most ? message : `${message.slice(0, most - 1)}…`;
}

/** True once its first step has begun. */
export function hasBegun({ state }: Pick<ReleaseRecord, 'state'>): boolean {
  return state !== 'pending' && state !== 'preparing';
}

/** Where a release that turns round now does so. */
export function turnedAt(record: ReleaseRecord): Turned {
  return { step: record.step, begun: hasBegun({ state: record.paused?.state ?? record.state }) };
}

/**
 * Throws if a record contradicts itself: nothing may be derived from one that does. What its strategy knows besides is in
 * `unsound` of that.
 */
export function assertSound(record: ReleaseRecord): void {
  const wrong = contradiction(record);
  if (wrong !== null) throw new Error(`release ${record.id} is not sound: ${wrong}`);
}

function contradiction(record: ReleaseRecord): string | null {
  const { state, phase, paused, shares } = record;
  const sum = Object.values(shares).reduce((total, share) => total + share, 0);
  if (sum !== 100 && Object.keys(shares).length > 0) return `shares sum to ${String(sum)}`;
  if ((state === 'paused') !== (paused !== null)) return 'paused without a cause, or a cause without a pause';
  if (phase !== null && state !== 'progressing' && state !== 'rolling_back')
    return `phase ${phase} while ${state}`;
  if (state === 'progressing' && phase === null) return 'progressing without a phase';
  if (state === 'rolling_back' && record.ending === null) return 'going back to no ending';
  if (hasEnded(state) !== (record.ended_at !== null)) return 'an end without its moment';
  if (record.inquiry?.open === true && phase !== 'soaking' && phase !== 'analysing')
    return 'gates are asked outside of a soak';
  return null;
}
