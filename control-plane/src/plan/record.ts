import type { InstanceIntent, IntentRecord, OperationRecord, ServiceEvent } from '../model/intent.js';

/** How many operations and events a record keeps. */
export const KEPT_OPERATIONS = 20;
export const KEPT_EVENTS = 50;

/** A changed copy of `record`, one revision on, with `events` appended and the oldest history dropped. */
export function revise(
  record: IntentRecord,
  changes: Partial<Pick<IntentRecord, 'spec' | 'instances' | 'versions' | 'ops'>>,
  events: readonly ServiceEvent[],
): IntentRecord {
  const next = { ...record, ...changes };
  return {
    ...next,
    rev: record.rev + 1,
    ops: keepOperations(next.ops),
    events: [...record.events, ...events].slice(-KEPT_EVENTS),
  };
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

/** `instances` with the wish for `id` changed by `change`; a wish that says nothing any more is removed. */
export function withIntent(
  instances: IntentRecord['instances'],
  id: string,
  change: (intent: InstanceIntent | undefined) => InstanceIntent | undefined,
): IntentRecord['instances'] {
  const { [id]: before, ...others } = instances;
  const after = change(before);
  const empty = after === undefined || (after.state === undefined && after.weight === undefined);
  return empty ? others : { ...others, [id]: after };
}

/** The wish without its state; undefined if nothing is left of it. */
export function withoutState(intent: InstanceIntent | undefined): InstanceIntent | undefined {
  if (intent?.weight === undefined) return undefined;
  const { state: _state, op: _op, expires: _expires, ...rest } = intent;
  return rest;
}
