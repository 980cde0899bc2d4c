import { dueOf } from './clock.js';
import type { ForcedBreaker } from '../model/intent.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import { err, ok, type Result } from '../model/result.js';
import { forcedIn } from './breaker.js';
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
import { spellAuthor } from './layers.js';
import { revise } from './record.js';

type Force = Extract<Mutation, { kind: 'breaker' }>;

const SAYS = {
  open: 'its breaker is open: the service is left alone',
  closed: 'its breaker is closed, whatever fails',
  auto: 'its breaker is left to the gateways',
} as const;

/** An operator's word about the breaker. A service that nobody knows is refused: a typing error must not look done. */
export function decideBreaker(
  mutation: Force,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const { service } = mutation;
  const unknown = unknownService(state, service);
  if (unknown) return err(unknown);
  if (mutation.state !== 'auto' && context.reason.trim() === '') return err(NEEDS_REASON);
  const record = recordOf(state, service);
  const before = forcedIn(record, dueOf(state));
  if (mutation.state === 'auto' && before === undefined) return ok(unchanged(service));
  const breaker: ForcedBreaker | null =
    mutation.state === 'auto' ? null : { state: mutation.state, ...authorOf(context, state) };
  const until = breaker?.expires === undefined ? '' : `, until ${breaker.expires}`;
  const verb = breaker === null ? 'takes back' : 'replaces';
  const effects = before === undefined ? [] : [`${verb} ${before.state} ${spellAuthor(before)}`];
  const event = eventOf(state, mutation, context, {
    event: breaker === null ? 'breaker_freed' : 'breaker_forced',
    message: `${SAYS[mutation.state]}${until}`,
    effects,
  });
  return ok(changed(service, revise(record, { breaker }, [event])));
}

const NEEDS_REASON: Problem = {
  code: 'invalid_request',
  field: 'reason',
  detail: 'Forcing a breaker needs a reason: whoever sees what clients get must know why',
};
