import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import type { World } from '../../plan/world.js';
import type { CommandContext } from './context.js';
import { isLive, outcomeOf, ROSTER_QUEUE, rosterChange, stillServes, takeOut } from './gateways.js';
import { perform, record } from './perform.js';

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
  const run = {
    left: [...new Set(mutation.gateways)],
    gone: [] as string[],
    problem: null as Problem | null,
  };
  const about = () => ({ gateways: run.gone, never_heard: mutation.never_heard });
  const performed = await perform(context, caller, {
    kind: mutation.kind,
    queue: ROSTER_QUEUE,
    decide: () => {
      const world = context.world();
      // Those that went in a try before are gone for good.
      const refusal = run.gone.length > 0 ? null : refuse(world, mutation, caller);
      return refusal ? err(refusal) : ok(changesOf(world, mutation));
    },
    write: async (_, term) => {
      for (let id = run.left[0]; id !== undefined; id = run.left[0]) {
        const taken = await takeOut(context, term, id, 'forgotten');
        if (!taken.ok) return taken;
        run.gone.push(id);
        run.left.shift();
      }
      if (mutation.never_heard) run.problem = await forgetNeverHeard(context);
      return ok(undefined);
    },
    about,
  });
  if (!performed.ok) {
    const { error } = performed;
    if (run.gone.length === 0) return performed;
    record(context, caller, mutation.kind, about());
    return err({ ...error, detail: `${error.detail} ${String(run.gone.length)} are forgotten already.` });
  }
  return run.problem ? err(run.problem) : ok(outcomeOf(performed.value, caller));
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
