import type { Freeze } from '../model/freeze.js';
import type {
  Decided,
  InstanceIntent,
  IntentRecord,
  OperationRecord,
  ServiceEvent,
} from '../model/intent.js';
import { intentOf, layersOf, unexpired, type Layers } from './layers.js';

/** How many operations and events a record keeps. */
export const KEPT_OPERATIONS = 20;
export const KEPT_EVENTS = 50;
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
  },
  events: readonly ServiceEvent[],
): IntentRecord {
  const { freeze: frozen, versions_by: shared, fallback: before, ...rest } = record;
  const {
    freeze = frozen ?? null,
    versions_by = shared ?? null,
    fallback = before ?? null,
    ...others
  } = changes;
  const next = { ...rest, ...others };
  return {
    ...next,
    ...(versions_by === null ? {} : { versions_by }),
    ...(fallback === null ? {} : { fallback }),
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
