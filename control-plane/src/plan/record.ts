import type { Freeze } from '../model/freeze.js';
import type { InstanceIntent, IntentRecord, OperationRecord, ServiceEvent } from '../model/intent.js';

/** How many operations and events a record keeps. */
export const KEPT_OPERATIONS = 20;
export const KEPT_EVENTS = 50;
/** How long an event's message may be: a record that grows past what can be read back is a lost record. */
const MESSAGE_CHARACTERS = 1_000;

/** A changed copy of `record`, one revision on, with `events` appended and the oldest history dropped. */
export function revise(
  record: IntentRecord,
  changes: Partial<Pick<IntentRecord, 'spec' | 'instances' | 'versions' | 'ops'>> & {
    /** Null takes it away; absent leaves it. */
    readonly freeze?: Freeze | null;
  },
  events: readonly ServiceEvent[],
): IntentRecord {
  const { freeze: before, ...rest } = record;
  const { freeze = before ?? null, ...others } = changes;
  const next = { ...rest, ...others };
  return {
    ...next,
    ...(freeze === null ? {} : { freeze }),
    rev: record.rev + 1,
    ops: keepOperations(next.ops),
    events: [...record.events, ...events.map(clipped)].slice(-KEPT_EVENTS),
  };
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

/** The wish for `id` as it stands in the record. An id may well be called `constructor`. */
export function wishOf(instances: IntentRecord['instances'], id: string): InstanceIntent | undefined {
  return Object.hasOwn(instances, id) ? instances[id] : undefined;
}

/**
 * What of `intent` is in force at `wall` (milliseconds). The expiry is that of its state; a weight and a role as backup
 * that were wished beside it stay. Alone they have the expiry for themselves.
 */
export function inForce(intent: InstanceIntent | undefined, wall: number): InstanceIntent | undefined {
  if (intent?.expires === undefined || Date.parse(intent.expires) > wall) return intent;
  return intent.state === undefined ? undefined : withoutState(intent);
}

/** `instances` with the wish for `id` changed by `change`; a wish that says nothing any more is removed. */
export function withIntent(
  instances: IntentRecord['instances'],
  id: string,
  change: (intent: InstanceIntent | undefined) => InstanceIntent | undefined,
): IntentRecord['instances'] {
  const { [id]: _before, ...others } = instances;
  const after = change(wishOf(instances, id));
  return after === undefined || saysNothing(after) ? others : { ...others, [id]: after };
}

function saysNothing(intent: InstanceIntent): boolean {
  return intent.state === undefined && intent.weight === undefined && intent.backup === undefined;
}

/** The wish without its state; undefined if nothing is left of it. */
export function withoutState(intent: InstanceIntent | undefined): InstanceIntent | undefined {
  if (intent === undefined) return undefined;
  const { state: _state, op: _op, expires: _expires, keep_sticky_until: _kept, ...rest } = intent;
  return saysNothing(rest) ? undefined : rest;
}
