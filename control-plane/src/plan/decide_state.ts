import type { InstanceIntent, IntentRecord, ServiceEvent } from '../model/intent.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/resources.js';
import { ok, type Result } from '../model/result.js';
import { eventOf, recordOf, type DecisionState, type Proposal } from './decision.js';
import { revise, wishOf, withIntent, withoutState } from './record.js';
import { select } from './select.js';

type Verb = Extract<Mutation, { kind: 'undrain' | 'isolate' | 'restore' }>;

/**
 * undrain gives drained and cut instances back; isolate takes instances out at once, whatever they hold; restore gives
 * isolated ones back. Each leaves alone what is not in its state. Operations whose instances are taken away end as
 * superseded by the next pass.
 */
export function decideState(
  mutation: Verb,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const selection = select(mutation.selector, state);
  if (!selection.ok) return selection;
  const records = new Map<string, IntentRecord>();
  for (const [service, ids] of selection.value) {
    const record = recordOf(state, service);
    const touched = ids.filter((id) => applies(mutation.kind, wishOf(record.instances, id)));
    if (touched.length === 0) continue;
    let instances = record.instances;
    const events: ServiceEvent[] = [];
    for (const id of touched) {
      instances = withIntent(instances, id, (before) => after(mutation.kind, before, context, state));
      const event = { undrain: 'undrained', isolate: 'isolated', restore: 'restored' }[mutation.kind];
      events.push(eventOf(state, mutation, context, { event, instance: id, message: event }));
    }
    records.set(service, revise(record, { instances }, events));
  }
  return ok({ services: [...selection.value.keys()], records, operation: null });
}

function applies(verb: Verb['kind'], intent: InstanceIntent | undefined): boolean {
  if (verb === 'isolate') return intent?.state !== 'isolated';
  if (verb === 'restore') return intent?.state === 'isolated';
  return intent?.state === 'draining' || intent?.state === 'cut';
}

function after(
  verb: Verb['kind'],
  before: InstanceIntent | undefined,
  context: MutationContext,
  state: DecisionState,
): InstanceIntent | undefined {
  if (verb !== 'isolate') return withoutState(before);
  const { op: _op, expires: _expires, keep_sticky_until: _sticky, ...kept } = before ?? {};
  const expires =
    context.expires_ms === null ? {} : { expires: new Date(state.wall + context.expires_ms).toISOString() };
  const at = new Date(state.wall).toISOString();
  return { ...kept, ...expires, state: 'isolated', by: context.by, reason: context.reason, at };
}
