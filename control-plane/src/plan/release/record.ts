import type {
  InPlaceProgress,
  Paused,
  ReleaseEnding,
  ReleaseEvent,
  ReleasePhase,
  ReleaseRecord,
  ReleaseState,
  Shares,
  Turned,
} from '../../model/release.js';
import { keepEvents } from '../../model/people.js';
import { hasEnded } from '../../model/release.js';
import { closed } from './inquiry.js';
import { lastReadings } from './readings.js';

/** How many events of people, how many of the controller, and how many obeyed verbs a record keeps. */
export const KEPT_EVENTS = 50;
export const KEPT_VERBS = 20;
const MESSAGE_CHARACTERS = 1_000;
/** Of an instance: a batch may hold hundreds. */
const REASON_CHARACTERS = 200;

/** What a move changes; everything about the phase begins anew unless it is named here. */
export interface Move {
  readonly state: ReleaseState;
  readonly phase?: ReleasePhase;
  readonly step?: number;
  readonly attempt?: number;
  readonly shares?: Shares;
  readonly paused?: Paused;
  readonly ending?: ReleaseEnding;
  readonly turned?: Turned;
  readonly in_place?: InPlaceProgress | null;
  /** The window, its judgements and what was observed go on. */
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
    move.keeps_window === true ? {} : { observed_ms: 0, window: null, judged_ms: 0, extended_ms: 0 };
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
    in_place: move.in_place === undefined ? record.in_place : move.in_place,
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
  const { paused, in_place, read } = record;
  const cut = <T extends { readonly reason: string }>(one: T): T =>
    one.reason.length <= REASON_CHARACTERS ? one : { ...one, reason: clipped(one.reason, REASON_CHARACTERS) };
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
    in_place: in_place && {
      ...in_place,
      batch: in_place.batch.map(cut),
      left_out: in_place.left_out.map(cut),
      called: in_place.called && cut(in_place.called),
    },
  };
}

function withEvent(record: ReleaseRecord, event: Omit<ReleaseEvent, 'n'>): readonly ReleaseEvent[] {
  const n = (record.events.at(-1)?.n ?? 0) + 1;
  const events = [...record.events, { n, ...event, message: clipped(event.message) }];
  return keepEvents(events, { people: KEPT_EVENTS, others: KEPT_EVENTS });
}

function clipped(message: string, most: number = MESSAGE_CHARACTERS): string {
  return message.length <= most ? message : `${message.slice(0, most - 1)}…`;
}

/** Throws if a record contradicts itself: nothing may be derived from one that does. */
export function assertSound(record: ReleaseRecord): void {
  const sum = Object.values(record.shares).reduce((total, share) => total + share, 0);
  const byWeights = record.strategy.kind === 'in_place' && Object.keys(record.shares).length === 0;
  const wrong =
    sum !== 100 && !byWeights
      ? `shares sum to ${String(sum)}`
      : (record.state === 'paused') !== (record.paused !== null)
        ? 'paused without a cause, or a cause without a pause'
        : record.phase !== null && record.state !== 'progressing' && record.state !== 'rolling_back'
          ? `phase ${record.phase} while ${record.state}`
          : record.state === 'progressing' && record.phase === null
            ? 'progressing without a phase'
            : record.state === 'rolling_back' && record.ending === null
              ? 'going back to no ending'
              : hasEnded(record.state) !== (record.ended_at !== null)
                ? 'an end without its moment'
                : record.inquiry?.open === true && record.phase !== 'soaking' && record.phase !== 'analysing'
                  ? 'gates are asked outside of a soak'
                  : (record.strategy.kind === 'in_place') !== (record.in_place !== null)
                    ? 'in place without its progress, or a progress without being in place'
                    : null;
  if (wrong !== null) throw new Error(`release ${record.id} is not sound: ${wrong}`);
}
