import { dueOf } from './clock.js';
import type { AcceptedLoss } from '../model/intent.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import { err, ok, type Result } from '../model/result.js';
import {
  authorOf,
  changed,
  eventOf,
  recordOf,
  unchanged,
  unknownService,
  type DecisionState,
  type Proposal,
} from './decision.js';
import { holdIn, isKept } from './hold.js';
import { spellAuthor } from './layers.js';
import { inForce, instanceIntent, revise } from './record.js';
import { enumerate } from './serving.js';

type Word = Extract<Mutation, { kind: 'hold' | 'accept' }>;

/**
 * A person's word about instances whose registrations vanished. `hold`: they live, and so do those that vanish until it expires.
 * `accept`: those that are kept now are gone, and a hold is over. A service that nobody knows is refused: a typing error must not look done.
 */
export function decideHold(
  mutation: Word,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const { service } = mutation;
  const unknown = unknownService(state, service);
  if (unknown) return err(unknown);
  if (context.reason.trim() === '') return err(needsReason(mutation));
  return mutation.kind === 'hold' ? hold(mutation, context, state) : accept(mutation, context, state);
}

function hold(mutation: Word, context: MutationContext, state: DecisionState): Result<Proposal, Problem> {
  if (context.expires_ms === null) return err(NEEDS_END);
  const { service } = mutation;
  const record = recordOf(state, service);
  const author = authorOf(context, state);
  const before = holdIn(record, dueOf(state));
  const message = `nothing that vanished is removed until ${author.expires ?? ''}`;
  const effects = before === undefined ? [] : [`replaces the hold ${spellAuthor(before)}`];
  const event = eventOf(state, mutation, context, { event: 'held', message, effects });
  return ok(changed(service, revise(record, { hold: author }, [event])));
}

function accept(mutation: Word, context: MutationContext, state: DecisionState): Result<Proposal, Problem> {
  const { service } = mutation;
  const record = recordOf(state, service);
  const before = holdIn(record, dueOf(state));
  const kept = [...(state.membership.get(service) ?? [])].filter(
    ([id, member]) =>
      isKept(member) &&
      !member.registration.leaving &&
      inForce(instanceIntent(record.instances, id), dueOf(state))?.state === undefined,
  );
  if (kept.length === 0 && before === undefined) return ok(unchanged(service));
  const { expires: _none, ...author } = authorOf(context, state);
  const ids = kept.map(([id]) => id);
  const accepted: AcceptedLoss = {
    ...author,
    instances: {
      ...record.accepted?.instances,
      ...Object.fromEntries(kept.map(([id, { registration }]) => [id, registration.incarnation])),
    },
  };
  const message =
    ids.length === 0
      ? 'what vanished is gone; nothing is kept now'
      : `${enumerate(ids)} vanished and ${ids.length === 1 ? 'is' : 'are'} gone`;
  const effects = before === undefined ? [] : [`takes back the hold ${spellAuthor(before)}`];
  const event = eventOf(state, mutation, context, { event: 'loss_accepted', message, effects });
  const changes = { hold: null, ...(ids.length === 0 ? {} : { accepted }) };
  return ok(changed(service, revise(record, changes, [event])));
}

function needsReason({ kind }: Word): Problem {
  const detail =
    kind === 'hold'
      ? 'A hold needs a reason: say how it is known that what vanished lives'
      : 'An acceptance needs a reason: say how it is known that what vanished is gone';
  return { code: 'invalid_request', field: 'reason', detail };
}

const NEEDS_END: Problem = {
  code: 'invalid_request',
  field: 'expires',
  detail: 'A hold needs an end: say how long what vanished is to be kept',
};
