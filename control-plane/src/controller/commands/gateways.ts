import type { Departure, HeardGateway, RosterEntry } from '../../model/gateway.js';
import type { RosterEdit } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import { isSilent } from '../../plan/proof.js';
import type { World } from '../../plan/world.js';
import type { CommandContext } from './context.js';
import { noUndo } from './entry.js';
import { perform } from './perform.js';
import { into } from './writing.js';

type GatewayMutation = Extract<Mutation, { kind: 'forget_gateway' | 'leave_gateway' }>;
type JoinGateway = Extract<Mutation, { kind: 'join_gateway' }>;

/** Changes of the roster queue behind one another: no service has this name. */
export const ROSTER_QUEUE = '@roster';

/** Why a change of the roster is not undone. */
export const REJOINS = 'a gateway that serves joins the roster by itself';
const FORGETS = 'a gateway that does not serve is taken out by `ebbgate gateway forget`';

/** A gateway beats once a second, so one that makes no sound for this long has really stopped. */
const QUIET_MS = 1_300;
/** One that was stopped a moment ago is given this long to become quiet. */
const QUIET_WITHIN_MS = 4_000;

/**
 * Takes a gateway out of the roster. `leave` is sent by whatever stopped its nginx once the last worker is gone; `forget` is a
 * person's word that a silent one does not serve any more, and refuses one that is heard.
 */
export async function takeGatewayOut(
  context: CommandContext,
  { gateway: id, kind }: GatewayMutation,
  caller: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const leaves = kind === 'leave_gateway';
  const check = (): Problem | null =>
    leaves ? refuseUnknown(context.world(), id) : refuseForgetting(context.world(), id, caller);
  if (leaves && !caller.dry_run) {
    const refusal = context.authority.refusal(false) ?? check();
    if (refusal) return err(refusal);
    if (!(await fellSilent(context, id))) return err(stillServes(id));
  }
  const done = await perform(context, caller, {
    kind,
    queue: ROSTER_QUEUE,
    decide: () => {
      const refusal = check();
      return refusal ? err(refusal) : ok([rosterChange(id, 'out of the roster')]);
    },
    writes: () => into(context.roster, departureOf(context, id, leaves ? 'left' : 'forgotten')),
    // It stays in the roster as one that has gone, so that a proof can name it.
    after: () => context.feedback.forget(id),
    audit: (changes) => ({ object: id, services: [], changes, undo: noUndo(REJOINS) }),
  });
  return done.ok ? ok(outcomeOf(done.value, caller)) : done;
}

/**
 * Takes a gateway into the roster before it was heard: it is about to serve what its disk has, cut off from Redis, so every
 * drain has to wait for it from now on. One that is in the roster stays as it is.
 */
export async function joinGateway(
  context: CommandContext,
  { gateway: id }: JoinGateway,
  caller: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const isIn = (): boolean => context.world().witnesses.roster.has(id);
  const done = await perform(context, caller, {
    kind: 'join_gateway',
    queue: ROSTER_QUEUE,
    decide: () => ok(isIn() ? [] : [rosterChange(id, 'in the roster')]),
    writes: (changes) => {
      const since = new Date(context.world().wall).toISOString();
      const entry = { id, boot: '', host: '', since };
      return changes.length === 0 ? null : into(context.roster, [{ id, entry }]);
    },
    audit: (changes) => ({ object: id, services: [], changes, undo: noUndo(FORGETS) }),
  });
  return done.ok ? ok(outcomeOf(done.value, caller)) : done;
}

/** One line of what a mutation of the roster changes. */
export function rosterChange(id: string, to: 'in the roster' | 'out of the roster'): PlannedChange {
  const from = to === 'in the roster' ? 'out of the roster' : 'in the roster';
  return { service: '', instance: null, field: `gateway ${id}`, from, to };
}

/** What a mutation of the roster answers. */
export function outcomeOf(
  changes: readonly PlannedChange[],
  { dry_run }: Pick<MutationContext, 'dry_run'>,
): MutationResource {
  return { dry_run, changes, guards: [], blockers: [], operation: null, published: !dry_run, etags: {} };
}

function refuseUnknown({ witnesses: { roster, fleet } }: World, id: string): Problem | null {
  if (fleet.heard.has(id) || roster.has(id) || fleet.listed.has(id)) return null;
  return { code: 'not_found', field: 'gateway', detail: `There is no gateway ${id}` };
}

function refuseForgetting(world: World, id: string, { reason }: MutationContext): Problem | null {
  const unknown = refuseUnknown(world, id);
  if (unknown) return unknown;
  if (reason.trim() === '') {
    const detail = 'Forgetting a gateway needs a reason: say how it is known not to serve';
    return { code: 'invalid_request', field: 'reason', detail };
  }
  return isLive(world, id) ? stillServes(id) : null;
}

/** True if the gateway is heard now. */
export function isLive({ witnesses }: World, id: string): boolean {
  const heard = witnesses.fleet.heard.get(id);
  return heard !== undefined && !isSilent(heard, witnesses);
}

/** Why a gateway that is heard cannot be taken out. */
export function stillServes(id: string): Problem {
  return {
    code: 'conflict',
    field: 'gateway',
    detail: `Gateway ${id} is heard right now, so it serves. Stop it first; then it can leave or be forgotten.`,
  };
}

/** Who stopped the gateway is believed, unless it goes on beating. */
async function fellSilent(context: CommandContext, id: string): Promise<boolean> {
  const { clock, passes } = context;
  const until = clock.monotonic() + QUIET_WITHIN_MS;
  for (;;) {
    const heard = context.world().witnesses.fleet.heard.get(id);
    const now = clock.monotonic();
    const left = heard ? heard.changed_at + QUIET_MS - now : 0;
    if (left <= 0) return true;
    if (now >= until) return false;
    await passes.pause(left);
  }
}

/** What takes one gateway out of the roster. What was never heard leaves no trace there. */
export function departureOf(
  { world }: Pick<CommandContext, 'world'>,
  id: string,
  how: Departure['how'],
): readonly RosterEdit[] {
  const { wall, witnesses } = world();
  const entry = witnesses.roster.get(id) ?? entryOf(witnesses.fleet.heard.get(id), wall);
  const gone = { at: new Date(wall).toISOString(), how };
  return entry ? [{ id, entry: { ...entry, gone } }] : [];
}

/** The entry of one that was heard and is not in the roster yet. */
function entryOf(heard: HeardGateway | undefined, wall: number): RosterEntry | null {
  if (!heard) return null;
  const { id, boot, host } = heard.heartbeat;
  return { id, boot, host, since: new Date(wall).toISOString() };
}
