import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import { isSilent } from '../../plan/proof.js';
import type { World } from '../../plan/world.js';
import { officeRefusal, stillServes, takeOut, type MutationDesk } from './mutations.js';

type ForgetGateways = Extract<Mutation, { kind: 'forget_gateways' }>;

/**
 * Takes several silent gateways out of the roster by a person's word, and on demand every name that was never heard. All
 * names are judged before the first one goes: one that is heard, or that nobody knows, refuses all.
 */
export async function forgetGateways(
  desk: MutationDesk,
  mutation: ForgetGateways,
  context: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const refusal = officeRefusal(desk, context.dry_run) ?? judge(desk.world(), mutation, context);
  if (refusal) return err(refusal);
  const names = [...new Set(mutation.gateways)];
  const changes: PlannedChange[] = names.map((id) => {
    return {
      service: '',
      instance: null,
      field: `gateway ${id}`,
      from: 'in the roster',
      to: 'out of the roster',
    };
  });
  if (mutation.never_heard) changes.push(neverHeard(desk.world()));
  if (!context.dry_run) {
    const failure = await forget(desk, names, mutation.never_heard);
    if (failure) return err(failure);
    const { by, reason } = context;
    desk.deps.log.warn(
      { gateways: names, never_heard: mutation.never_heard, by, reason },
      'gateways forgotten',
    );
    await desk.settled();
  }
  const { dry_run } = context;
  return ok({ dry_run, changes, guards: [], blockers: [], operation: null, published: !dry_run, etags: {} });
}

function judge(world: World, mutation: ForgetGateways, context: MutationContext): Problem | null {
  const { roster, fleet } = world.witnesses;
  if (context.reason.trim() === '') {
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
  const live = mutation.gateways.find((id) => {
    const heard = fleet.heard.get(id);
    return heard !== undefined && !isSilent(heard, world.witnesses);
  });
  return live === undefined ? null : stillServes(live);
}

function neverHeard({ witnesses: { fleet } }: World): PlannedChange {
  const count = fleet.listed.size + (fleet.listed_more ?? 0);
  return { service: '', instance: null, field: 'names never heard', from: String(count), to: '0' };
}

async function forget(
  desk: MutationDesk,
  names: readonly string[],
  alsoNeverHeard: boolean,
): Promise<Problem | null> {
  for (const [done, id] of names.entries()) {
    const failure = await takeOut(desk, id, 'forgotten');
    if (failure === null) continue;
    return done === 0
      ? failure
      : { ...failure, detail: `${failure.detail} ${String(done)} are forgotten already.` };
  }
  if (!alsoNeverHeard) return null;
  const taken = await desk.deps.feedback.forgetNeverHeard();
  if (taken.ok) return null;
  const detail = `Redis did not take the names out of its list (${taken.error}). They block nothing; try again.`;
  return { code: 'not_ready', detail };
}
