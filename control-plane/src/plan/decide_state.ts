import { dueOf } from './clock.js';
import type { Decided, InstanceIntent, IntentRecord, ServiceEvent } from '../model/intent.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { ok, type Result } from '../model/result.js';
import { authorOf, eventOf, recordOf, type DecisionState, type Proposal } from './decision.js';
import { layersOf, describeLayerChange, type Layers } from './layers.js';
import { inForce, revise, instanceIntent, withLayers } from './record.js';
import { select } from './select.js';

type Verb = Extract<Mutation, { kind: 'undrain' | 'isolate' | 'restore' }>;

/**
 * undrain takes a drain or a cut back, also below an isolation; isolate takes instances out at once, with requests still open, and
 * lies over a drain; restore takes an isolation back, and what lies below it is in force again. Each leaves alone what has no such layer.
 */
export function decideState(
  mutation: Verb,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const selection = select(mutation.selector, state, context.services);
  if (!selection.ok) return selection;
  const records = new Map<string, IntentRecord>();
  for (const [service, ids] of selection.value) {
    const record = recordOf(state, service);
    const present = (id: string) => inForce(instanceIntent(record.instances, id), dueOf(state));
    const touched = ids.filter((id) => applies(mutation.kind, present(id), authorOf(context, state)));
    if (touched.length === 0) continue;
    let instances = record.instances;
    const events: ServiceEvent[] = [];
    for (const id of touched) {
      instances = withLayers(instances, id, (layers) =>
        after(mutation.kind, layers, authorOf(context, state)),
      );
      const event = { undrain: 'undrained', isolate: 'isolated', restore: 'restored' }[mutation.kind];
      const effects = describeLayerChange(present(id), inForce(instanceIntent(instances, id), dueOf(state)));
      events.push(eventOf(state, mutation, context, { event, instance: id, message: event, effects }));
    }
    records.set(service, revise(record, { instances }, events));
  }
  return ok({ services: [...selection.value.keys()], records, operation: null });
}

function applies(verb: Verb['kind'], intent: InstanceIntent | undefined, author: Decided): boolean {
  const { isolation, drain } = layersOf(intent);
  if (verb === 'undrain') return drain !== undefined;
  if (verb === 'restore') return isolation !== undefined;
  // The same word again, for as long as the first: it is so already.
  const again =
    isolation?.by === author.by &&
    isolation.reason === author.reason &&
    isolation.expires === undefined &&
    author.expires === undefined;
  return !again;
}

function after(verb: Verb['kind'], layers: Layers, author: Decided): Layers {
  const { isolation, drain, ...others } = layers;
  if (verb === 'isolate') return { ...layers, isolation: author };
  if (verb === 'restore') return { ...(drain === undefined ? {} : { drain }), ...others };
  return { ...(isolation === undefined ? {} : { isolation }), ...others };
}
