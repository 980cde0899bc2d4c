import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { objectOf } from '../../model/mutation_object.js';
import { err, ok, type Result } from '../../model/result.js';
import type { World } from '../../plan/world.js';
import type { CommandContext } from './context.js';
import { noUndo } from './entry.js';
import {
  departureOf,
  isLive,
  outcomeOf,
  REJOINS,
  ROSTER_QUEUE,
  rosterChange,
  stillServes,
} from './gateways.js';
import { perform } from './perform.js';
import { into } from './writing.js';

type ForgetGateways = Extract<Mutation, { kind: 'forget_gateways' }>;

/**
 * Takes several silent gateways out of the roster by a person's word, and on demand every name that was never heard. All
 * names are checked before the first one goes: one that is heard, or that nobody knows, refuses all.
 */
export async function forgetGateways(
  context: CommandContext,
  mutation: ForgetGateways,
  caller: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const ids = [...new Set(mutation.gateways)];
  const run = { missed: null as Problem | null };
  const done = await perform(context, caller, {
    kind: mutation.kind,
    queue: ROSTER_QUEUE,
    decide: () => {
      const world = context.world();
      const refusal = refuse(world, mutation, caller);
      return refusal ? err(refusal) : ok(changesOf(world, mutation));
    },
    writes: () =>
      into(
        context.roster,
        ids.flatMap((id) => departureOf(context, id, 'forgotten')),
      ),
    after: async () => {
      for (const id of ids) await context.feedback.forget(id);
      if (mutation.never_heard) run.missed = await forgetNeverHeard(context);
    },
    audit: (changes) => ({ object: objectOf(mutation), services: [], changes, undo: noUndo(REJOINS) }),
  });
  if (!done.ok) return done;
  return run.missed ? err(run.missed) : ok(outcomeOf(done.value, caller));
}

function refuse(world: World, mutation: ForgetGateways, { reason }: MutationContext): Problem | null {
  const { roster, fleet } = world.witnesses;
  if (reason.trim() === '') {
    const detail = 'Forgetting gateways needs a reason: say how it is known that they do not serve';
    return { code: 'invalid_request', field: 'reason', detail };
  }
  if (mutation.gateways.length === 0 && !mutation.never_heard) {
    const detail = 'Name the gateways to forget, or ask for never_heard';
    return { code: 'invalid_request', field: 'gateways', detail };
  }
  const unknown = mutation.gateways.filter(
    (id) => !roster.has(id) && !fleet.heard.has(id) && !fleet.listed.has(id),
  );
  if (unknown.length > 0) {
    const detail = `There is no gateway ${unknown.join(', nor ')}. Nothing was changed.`;
    return { code: 'not_found', field: 'gateways', detail };
  }
  const live = mutation.gateways.find((id) => isLive(world, id));
  return live === undefined ? null : stillServes(live);
}

function changesOf(world: World, mutation: ForgetGateways): readonly PlannedChange[] {
  const changes = [...new Set(mutation.gateways)].map((id) => rosterChange(id, 'out of the roster'));
  if (!mutation.never_heard) return changes;
  const { listed, listed_more: more = 0 } = world.witnesses.fleet;
  const from = String(listed.size + more);
  return [...changes, { service: '', instance: null, field: 'names never heard', from, to: '0' }];
}

async function forgetNeverHeard({ feedback }: CommandContext): Promise<Problem | null> {
  const taken = await feedback.forgetNeverHeard();
  if (taken.ok) return null;
  const detail = `Redis did not take the names out of its list (${taken.error}). They block nothing; try again.`;
  return { code: 'not_ready', detail };
}
