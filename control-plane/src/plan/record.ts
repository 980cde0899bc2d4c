import type { Freeze } from '../model/freeze.js';
import type {
  AcceptedLoss,
  Decided,
  ForcedBreaker,
  InstanceIntent,
  IntentRecord,
  OperationRecord,
  ServiceEvent,
} from '../model/intent.js';
import { isPersons, keepEvents } from '../model/people.js';
import { intentOf, layersOf, nextExpiry, unexpired, type Layers } from './layers.js';

/** How many operations, and how many events of the controller, a record keeps. */
export const KEPT_OPERATIONS = 20;
export const KEPT_EVENTS = 50;
/**
 * How many events of people a record keeps at the most. Past `ROLL_EVENTS.above` the oldest go to the service's history
 * (docs/adr/0015), so this bound is met only while that cannot be written.
 */
const KEPT_OF_PEOPLE = 100;
/** When people's events go to the history, and how many stay in the record. */
export const ROLL_EVENTS = { above: 50, keep: 25 };
/** How many events of people the history of a service has besides those of its record. */
export const KEPT_HISTORY = 200;
/** So many events of one kind by one request are written down as one. */
const MOST_ALIKE = 20;
/** How long an event's message may be: a record that grows past what can be read back is a lost record. */
const MESSAGE_CHARACTERS = 1_000;

/** A changed copy of `record`, one revision on, with `events` appended and the oldest history dropped. */
export function revise(
  record: IntentRecord,
  changes: Partial<Pick<IntentRecord, 'spec' | 'spec_by' | 'instances' | 'versions' | 'ops'>> & {
    /** Null takes it away; absent leaves it. */
    readonly freeze?: Freeze | null;
    readonly versions_by?: Decided | null;
    /** Null takes it away; absent leaves it. */
    readonly fallback?: string | null;
    /** Null takes it away; absent leaves it. */
    readonly hold?: Decided | null;
    /** Null takes it away; absent leaves it. */
    readonly breaker?: ForcedBreaker | null;
    /** Null takes it away; absent leaves it. */
    readonly accepted?: AcceptedLoss | null;
  },
  events: readonly ServiceEvent[],
): IntentRecord {
  const {
    freeze: frozen,
    versions_by: shared,
    fallback: before,
    hold: held,
    breaker: forced,
    accepted: lost,
    ...rest
  } = record;
  const {
    freeze = frozen ?? null,
    versions_by = shared ?? null,
    fallback = before ?? null,
    hold = held ?? null,
    breaker = forced ?? null,
    accepted = lost ?? null,
    ...others
  } = changes;
  const next = { ...rest, ...others };
  return {
    ...next,
    ...(versions_by === null ? {} : { versions_by }),
    ...(fallback === null ? {} : { fallback }),
    ...(freeze === null ? {} : { freeze }),
    ...(hold === null ? {} : { hold }),
    ...(breaker === null ? {} : { breaker }),
    ...(accepted === null ? {} : { accepted }),
    rev: record.rev + 1,
    ops: keepOperations(next.ops),
    events: keepEvents([...record.events, ...gathered(events).map(clipped)], {
      people: KEPT_OF_PEOPLE,
      others: KEPT_EVENTS,
    }),
  };
}

/** A request about hundreds of instances is one line of history, which names the first of them. */
function gathered(events: readonly ServiceEvent[]): readonly ServiceEvent[] {
  const [first] = events;
  if (!first || events.length <= MOST_ALIKE || !events.every((one) => one.event === first.event))
    return events;
  const { instance: _instance, ...rest } = first;
  const ids = events.flatMap(({ instance }) => instance ?? []);
  const named = `${String(ids.length)} instances (${ids.slice(0, MOST_ALIKE).join(', ')}, …)`;
  return [{ ...rest, message: `${first.message} of ${named}` }];
}

/**
 * The record without the oldest events of people, and the history of the service with them; null while there is no need.
 * The history has no keys and reasons of its own: messages have the reasons, and repeats are reported from the record.
 */
export function rollHistory(
  record: IntentRecord,
  history: readonly ServiceEvent[],
): { readonly record: IntentRecord; readonly history: readonly ServiceEvent[] } | null {
  const people = record.events.filter(isPersons);
  if (people.length <= ROLL_EVENTS.above) return null;
  const old = new Set(people.slice(0, people.length - ROLL_EVENTS.keep));
  const moved = [...old].map(({ at, event, by, instance, message }): ServiceEvent => {
    return { at, event, by, ...(instance === undefined ? {} : { instance }), message };
  });
  return {
    record: { ...record, events: record.events.filter((one) => !old.has(one)) },
    history: [...history, ...moved].slice(-KEPT_HISTORY),
  };
}

/**
 * The wall clock in milliseconds before which nothing of `record` ends by itself: an intent, a freeze, a hold or a word about its breaker that expires. -Infinity
 * while an operation or an accepted loss may end, or the record has events for the history; Infinity if nothing ever does.
 */
export function restsUntil(record: IntentRecord): number {
  const mayEnd = ({ result }: OperationRecord): boolean =>
    result === undefined || result === 'unproven' || result === 'timed_out';
  if (record.ops.some(mayEnd) || record.accepted !== undefined || rollHistory(record, []) !== null)
    return -Infinity;
  const { freeze, hold, breaker, instances } = record;
  const ends = [freeze, hold, breaker].flatMap((one) =>
    one?.expires === undefined ? [] : Date.parse(one.expires),
  );
  return Math.min(...ends, ...Object.values(instances).map(nextExpiry));
}

function clipped(event: ServiceEvent): ServiceEvent {
  if (event.message.length <= MESSAGE_CHARACTERS) return event;
  return { ...event, message: `${event.message.slice(0, MESSAGE_CHARACTERS - 1)}…` };
}

/** Drops the oldest ended operations; one that still runs is never dropped. */
function keepOperations(ops: readonly OperationRecord[]): readonly OperationRecord[] {
  let surplus = ops.length - KEPT_OPERATIONS;
  if (surplus <= 0) return ops;
  return ops.filter((op) => {
    if (surplus <= 0 || op.result === undefined) return true;
    surplus -= 1;
    return false;
  });
}

/** The intent for `id` as it is in the record. An id may well be called `constructor`. */
export function instanceIntent(instances: IntentRecord['instances'], id: string): InstanceIntent | undefined {
  return Object.hasOwn(instances, id) ? instances[id] : undefined;
}

/** What of `intent` is in force at `wall` (milliseconds): its layers that have not expired. */
export function inForce(intent: InstanceIntent | undefined, wall: number): InstanceIntent | undefined {
  return intent === undefined ? undefined : unexpired(intent, wall);
}

/** `instances` with the layers of `id` changed by `change`; an intent that says nothing any more is removed. */
export function withLayers(
  instances: IntentRecord['instances'],
  id: string,
  change: (layers: Layers) => Layers,
): IntentRecord['instances'] {
  const { [id]: before, ...others } = instances;
  const after = intentOf(change(layersOf(Object.hasOwn(instances, id) ? before : undefined)));
  return after === undefined ? others : { ...others, [id]: after };
}
