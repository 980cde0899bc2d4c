import { dueOf } from './clock.js';
import type { IntentRecord } from '../model/intent.js';
import type { GuardVerdict, Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { err, ok, type Result } from '../model/result.js';
import { decideBreaker } from './decide_breaker.js';
import { decideCancel, decideDrain } from './decide_drain.js';
import { decideFreeze } from './decide_freeze.js';
import { decideHold } from './decide_hold.js';
import { decideUndo } from './decide_undo.js';
import { decideState } from './decide_state.js';
import { decideSpec, decideVersions, decideWeights } from './decide_service.js';
import { beyond } from '../model/role.js';
import { guardCapacity } from './guard.js';
import { recordOf, requestHash, type DecisionState, type Proposal } from './decision.js';

/*
 * A mutation, checked: from the records as they are to the records as they should be. Pure; the controller writes
 * what comes out, all or nothing, under its fence.
 */

/** The records to write. None = it is so already. */
export interface Decision {
  /** Who asks. */
  readonly by: string;
  /** The services it is about, changed or not. */
  readonly services: readonly string[];
  readonly records: ReadonlyMap<string, IntentRecord>;
  readonly guards: readonly GuardVerdict[];
  /** The operation that was started, or that an earlier request with the same key started. */
  readonly operation: string | null;
  /** True if an earlier request with this Idempotency-Key did it already. */
  readonly repeated: boolean;
}

/** The mutations that concern services; gateways are the controller's own matter. */
export type ServiceMutation = Exclude<
  Mutation,
  {
    kind:
      | 'forget_gateway'
      | 'forget_gateways'
      | 'leave_gateway'
      | 'join_gateway'
      | 'accept_data_loss'
      | 'restore_copy'
      | 'freeze_all'
      | 'unfreeze_all'
      | 'create_token'
      | 'revoke_token'
      | 'create_consumer'
      | 'change_consumer'
      | 'delete_consumer'
      | 'add_key'
      | 'revoke_key';
  }
>;

/** Checks `mutation`; a failure says what is in the way. */
export function decide(
  mutation: ServiceMutation,
  context: MutationContext,
  state: DecisionState,
): Result<Decision, Problem> {
  if (context.force && context.reason.trim() === '')
    return err({
      code: 'invalid_request',
      field: 'reason',
      detail: 'force needs a reason: say why the guard may be passed',
    });
  const repeated = findRepeated(mutation, context, state);
  const proposal = repeated ?? propose(mutation, context, state);
  if (!proposal.ok) return proposal;
  const foreign = beyond(context.services, proposal.value.services);
  if (foreign) return err(foreign);
  if (repeated) return repeated;
  const stale = checkPrecondition(proposal.value, context, state);
  if (stale) return err(stale);
  const guards = guardAll(proposal.value, state);
  if (guards.length > 0 && !context.force)
    return err({
      code: 'guard_refused',
      detail: `${guards.map((guard) => guard.message).join('; ')}. To do it anyway, use force and give a reason.`,
      guards,
    });
  return ok({ ...proposal.value, by: context.by, guards, repeated: false });
}

function propose(
  mutation: ServiceMutation,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  switch (mutation.kind) {
    case 'patch_spec':
      return decideSpec(mutation, context, state);
    case 'set_weights':
      return decideWeights(mutation, context, state);
    case 'set_versions':
      return decideVersions(mutation, context, state);
    case 'drain':
      return decideDrain(mutation, context, state);
    case 'undrain':
    case 'isolate':
    case 'restore':
      return decideState(mutation, context, state);
    case 'freeze':
    case 'unfreeze':
      return decideFreeze(mutation, context, state);
    case 'hold':
    case 'accept':
      return decideHold(mutation, context, state);
    case 'breaker':
      return decideBreaker(mutation, context, state);
    case 'cancel_operation':
      return decideCancel(mutation, context, state);
    case 'undo':
      return decideUndo(mutation, context, state);
  }
}

function findRepeated(
  mutation: ServiceMutation,
  context: MutationContext,
  state: DecisionState,
): Result<Decision, Problem> | null {
  if (context.idempotency_key === null || context.dry_run) return null;
  const services: string[] = [];
  let operation: string | null = null;
  for (const [service, { record }] of state.intents) {
    const event = record.events.find((one) => one.idempotency_key === context.idempotency_key);
    const op = record.ops.find((one) => one.idempotency_key === context.idempotency_key);
    const request = op?.request ?? event?.request;
    if (request === undefined) continue;
    if (request !== requestHash(mutation, context))
      return err({
        code: 'idempotency_conflict',
        field: 'Idempotency-Key',
        detail: 'This Idempotency-Key was used for another request. Use a new key.',
      });
    services.push(service);
    operation ??= op?.id ?? null;
  }
  if (services.length === 0) return null;
  return ok({ by: context.by, services, records: new Map(), guards: [], operation, repeated: true });
}

function checkPrecondition(
  proposal: Proposal,
  context: MutationContext,
  state: DecisionState,
): Problem | null {
  const wanted = context.if_match;
  if (wanted === null || wanted === '*') return null;
  for (const service of proposal.records.keys()) {
    const etag = state.intents.get(service)?.etag ?? '0';
    if (etag !== wanted)
      return {
        code: 'precondition_failed',
        field: 'If-Match',
        detail: `${service} is at "${etag}" now, not at "${wanted}". Read it again and decide again.`,
      };
  }
  return null;
}

function guardAll(proposal: Proposal, state: DecisionState): readonly GuardVerdict[] {
  return [...proposal.records].flatMap(([service, after]) => {
    const members = state.membership.get(service);
    const release = state.traffic?.get(service) ?? null;
    const { witnesses } = state;
    return members
      ? guardCapacity(
          { service, members, witnesses, release, wall: dueOf(state) },
          recordOf(state, service),
          after,
        )
      : [];
  });
}
