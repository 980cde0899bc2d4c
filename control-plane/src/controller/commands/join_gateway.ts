import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import { officeRefusal, type MutationDesk } from './mutations.js';
import { decideAndWrite, NOT_LEADER, type Try } from './write_loop.js';

type JoinGateway = Extract<Mutation, { kind: 'join_gateway' }>;

/**
 * Takes a gateway into the roster before it was heard: it is about to serve what its disk has, cut off from Redis, so every
 * drain has to wait for it from now on. One that is in the roster stays as it is.
 */
export async function joinGateway(
  desk: MutationDesk,
  { gateway: id }: JoinGateway,
  context: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const refusal = officeRefusal(desk, context.dry_run);
  if (refusal) return err(refusal);
  const isIn = desk.world().witnesses.roster.has(id);
  const change: PlannedChange = {
    ...{ service: '', instance: null, field: `gateway ${id}` },
    ...{ from: 'out of the roster', to: 'in the roster' },
  };
  const { dry_run } = context;
  if (!dry_run && !isIn) {
    const joinOnce = async (): Promise<Try<null>> => {
      const now = officeRefusal(desk, false);
      const term = desk.term();
      if (now !== null || term === null) return { kind: 'answered', answer: err(now ?? NOT_LEADER) };
      const since = new Date(desk.world().wall).toISOString();
      const put = await desk.deps.roster.put(term, { id, boot: '', host: '', since });
      return put.ok ? { kind: 'answered', answer: ok(null) } : { kind: 'refused', term, failure: put.error };
    };
    const joined = await decideAndWrite({ ...desk, clock: desk.deps.clock }, joinOnce, () =>
      Promise.resolve(),
    );
    if (!joined.ok) return joined;
    desk.deps.log.warn(
      { gateway: id, by: context.by, reason: context.reason },
      'join_gateway: in the roster',
    );
    await desk.settled();
  }
  const none = { guards: [], blockers: [], operation: null, etags: {} };
  return ok({ dry_run, changes: isIn ? [] : [change], published: !dry_run, ...none });
}
