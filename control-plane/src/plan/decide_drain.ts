import { dueOf } from './clock.js';
import type { CoveredDrain, IntentRecord, OperationRecord, ServiceEvent } from '../model/intent.js';
import { formatDuration } from '../model/duration.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { err, ok, type Result } from '../model/result.js';
import { authorOf, eventOf, recordOf, requestHash, type DecisionState, type Proposal } from './decision.js';
import { drainOf, describeLayerChange } from './layers.js';
import { inForce, revise, instanceIntent, withLayers } from './record.js';
import { select } from './select.js';

type Drain = Extract<Mutation, { kind: 'drain' }>;
type Cancel = Extract<Mutation, { kind: 'cancel_operation' }>;

/**
 * Draining: weight 0 for every selected instance, and an operation that ends with proof or says why not. It replaces a drain
 * that is there, and lies below an isolation.
 */
export function decideDrain(
  mutation: Drain,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const selection = select(mutation.selector, state, context.services);
  if (!selection.ok) return selection;
  const refused = checkKept([...selection.value.keys()], mutation, context, state);
  if (refused) return err(refused);
  const records = new Map<string, IntentRecord>();
  for (const [service, ids] of selection.value) {
    const record = recordOf(state, service);
    records.set(service, drained(ids, record, mutation, context, state));
  }
  return ok({ services: [...selection.value.keys()], records, operation: state.newId });
}

/** Keeping sticky clients needs some, and an operation that outlives the keeping, or it could only end without proof. */
function checkKept(
  services: readonly string[],
  { keep_sticky_ms: keep, timeout_ms: timeout }: Drain,
  { expires_ms: expires }: MutationContext,
  state: DecisionState,
): Problem | null {
  if (keep === undefined) return null;
  const detail = (problem: string): Problem => ({
    code: 'invalid_request',
    field: 'body.keep_sticky',
    detail: `body.keep_sticky ${problem}`,
  });
  if (!services.some((service) => isSticky(recordOf(state, service))))
    return detail(
      `has no effect: ${services.join(', ')} has no balancer.sticky, so no client is bound to an instance. Leave it out`,
    );
  if (timeout !== null && timeout <= keep)
    return detail(
      `(${formatDuration(keep)}) must be shorter than timeout (${formatDuration(timeout)}): nothing can be proven while sticky clients are kept`,
    );
  if (expires !== null && expires <= keep)
    return detail(
      `(${formatDuration(keep)}) must be shorter than expires (${formatDuration(expires)}), after which the drain itself is over`,
    );
  return null;
}

function isSticky(record: IntentRecord): boolean {
  return record.spec.balancer?.sticky !== undefined;
}

function drained(
  ids: readonly string[],
  record: IntentRecord,
  mutation: Drain,
  context: MutationContext,
  state: DecisionState,
): IntentRecord {
  const at = new Date(state.wall).toISOString();
  const kept = isSticky(record) ? (mutation.keep_sticky_ms ?? 0) : 0;
  // The usual time-out begins when a proof becomes possible.
  const deadline =
    state.wall + (mutation.timeout_ms ?? state.drain_timeout_ms + (mutation.keep_sticky_ms ?? 0));
  const sticky = kept === 0 ? {} : { keep_sticky_until: new Date(state.wall + kept).toISOString() };
  const drain: CoveredDrain = {
    ...authorOf(context, state),
    state: 'draining',
    ...sticky,
    op: state.newId,
  };
  let instances = record.instances;
  for (const id of ids) instances = withLayers(instances, id, (layers) => ({ ...layers, drain }));
  const op: OperationRecord = {
    id: state.newId,
    kind: 'drain',
    instances: ids,
    by: context.by,
    reason: context.reason,
    at,
    deadline: new Date(deadline).toISOString(),
    on_timeout: mutation.on_timeout,
    ...(context.idempotency_key === null
      ? {}
      : { idempotency_key: context.idempotency_key, request: requestHash(mutation, context) }),
  };
  const events = ids.map((id) => {
    const effects = effectsOf(id, record.instances, instances, state);
    return eventOf(state, mutation, context, {
      ...{ event: 'drain_started', instance: id, message: 'drain started', effects },
    });
  });
  return revise(record, { instances, ops: [...record.ops, op] }, events);
}

/** Cancelling: the operation ends and its instances are given back. */
export function decideCancel(
  mutation: Cancel,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const records = new Map<string, IntentRecord>();
  const services: string[] = [];
  for (const [service, { record }] of state.intents) {
    const op = record.ops.find((one) => one.id === mutation.id);
    if (!op) continue;
    services.push(service);
    if (op.result === undefined) records.set(service, cancelled(record, op, mutation, context, state));
  }
  if (services.length === 0)
    return err({ code: 'not_found', field: 'operation', detail: `There is no operation ${mutation.id}` });
  if (records.size === 0)
    return err({
      code: 'conflict',
      field: 'operation',
      detail: `Operation ${mutation.id} has ended already`,
    });
  return ok({ services, records, operation: mutation.id });
}

function cancelled(
  record: IntentRecord,
  op: OperationRecord,
  mutation: Cancel,
  context: MutationContext,
  state: DecisionState,
): IntentRecord {
  const at = new Date(state.wall).toISOString();
  const events: ServiceEvent[] = [];
  let instances = record.instances;
  for (const id of op.instances) {
    if (drainOf(instanceIntent(instances, id))?.op !== op.id) continue;
    instances = withLayers(instances, id, ({ drain: _drain, ...others }) => others);
    const effects = effectsOf(id, record.instances, instances, state);
    events.push(
      eventOf(state, mutation, context, {
        ...{ event: 'drain_cancelled', instance: id, message: 'drain cancelled', effects },
      }),
    );
  }
  const ops = record.ops.map((one) =>
    one === op ? { ...op, result: 'cancelled' as const, ended_at: at } : one,
  );
  return revise(record, { instances, ops }, events);
}

function effectsOf(
  id: string,
  before: IntentRecord['instances'],
  after: IntentRecord['instances'],
  state: DecisionState,
): readonly string[] {
  const due = dueOf(state);
  return describeLayerChange(
    inForce(instanceIntent(before, id), due),
    inForce(instanceIntent(after, id), due),
  );
}
