import { own } from '../../model/dictionary.js';
import type { Departure, HeardGateway, RosterEntry } from '../../model/gateway.js';
import { dueOf } from '../../plan/clock.js';
import type { Clock, Feedback, IntentEdit, IntentStore, Log, RosterStore, Term } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { ReleaseTraffic } from '../../model/release.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import { decide, type Decision, type ServiceMutation } from '../../plan/decide.js';
import { describeOperation } from '../../plan/describe_fleet.js';
import { diffRecords } from '../../plan/diff.js';
import { drainOf } from '../../plan/layers.js';
import { isSilent, proveDrained } from '../../plan/proof.js';
import { drainTarget, membersIn, recordIn, type World } from '../../plan/world.js';
import type { Refusal } from '../office/leadership.js';
import type { ServiceQueue } from './service_queue.js';
import { decideAndWrite, NOT_LEADER, type Try } from './write_loop.js';

/** What a mutation needs of the controller. */
export interface MutationDesk {
  readonly deps: {
    readonly intents: IntentStore;
    readonly roster: RosterStore;
    readonly feedback: Feedback;
    readonly clock: Clock;
    readonly log: Log;
    readonly newId: () => string;
    readonly settings: { readonly drainTimeoutMs: number };
  };
  readonly term: () => Term | null;
  readonly fenced: () => boolean;
  /** What a fenced write means; see `Leadership.refused`. */
  readonly refused: (term: Term) => Promise<Refusal>;
  readonly queue: ServiceQueue;
  readonly known: () => boolean;
  /** Waits so many milliseconds, or less when the controller closes. */
  readonly pause: (ms: number) => Promise<void>;
  readonly world: () => World;
  /** What the running releases ask of the sets. */
  readonly traffic: () => ReadonlyMap<string, ReleaseTraffic>;
  /** Runs a pass now and waits for it, for a bounded time. */
  readonly settled: () => Promise<void>;
  /** Resolves once the record shown for a service is not at `etag` any more, or after a bounded time. */
  readonly moved: (service: string, etag: string | null) => Promise<void>;
  /** Why nothing may be changed until a person has judged, or null. */
  readonly hold: () => string | null;
  /** True if the set that is wanted for a service stands in Redis. */
  readonly stands: (service: string) => boolean;
}

/** Judges a mutation of services, writes it as one transaction, and publishes it at once. */
export async function mutateServices(
  desk: MutationDesk,
  mutation: ServiceMutation,
  context: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const newId = desk.deps.newId();
  if (context.dry_run) {
    const judged = judge(desk, mutation, context, newId);
    return judged.ok ? ok(describeDryRun(desk, judged.value.world, judged.value.decision)) : judged;
  }
  const taken = await desk.queue.take(serviceOf(mutation), () =>
    decideAndPersist(desk, mutation, context, newId),
  );
  if (!taken.ok) return taken;
  await desk.settled();
  return ok(describeDone(desk, taken.value.world, taken.value.decision));
}

/** What was decided, and on which world. */
interface Judged {
  readonly world: World;
  readonly decision: Decision;
}

function judge(
  desk: MutationDesk,
  mutation: ServiceMutation,
  context: MutationContext,
  newId: string,
): Result<Judged, Problem> {
  const refusal = officeRefusal(desk, context.dry_run);
  if (refusal) return err(refusal);
  const world = desk.world();
  const decided = decide(mutation, context, {
    intents: world.intents,
    membership: world.membership,
    traffic: desk.traffic(),
    witnesses: world.witnesses,
    wall: world.wall,
    due: dueOf(world),
    newId,
    drain_timeout_ms: desk.deps.settings.drainTimeoutMs,
  });
  if (!decided.ok) return decided;
  const damage = damageIn(world, decided.value);
  return damage ? err(damage) : ok({ world, decision: decided.value });
}

function decideAndPersist(
  desk: MutationDesk,
  mutation: ServiceMutation,
  context: MutationContext,
  newId: string,
): Promise<Result<Judged, Problem>> {
  let seen = desk.world();
  const decideOnce = async (): Promise<Try<Judged>> => {
    const term = desk.term();
    const judged = judge(desk, mutation, context, newId);
    if (!judged.ok || term === null || judged.value.decision.records.size === 0)
      return { kind: 'answered', answer: judged };
    seen = judged.value.world;
    const edits = [...judged.value.decision.records].map(([service, record]): IntentEdit => {
      return { service, etag: seen.intents.get(service)?.etag ?? null, record };
    });
    const written = await desk.deps.intents.write(term, edits);
    return written.ok
      ? { kind: 'answered', answer: judged }
      : { kind: 'refused', term, failure: written.error };
  };
  return decideAndWrite({ ...desk, clock: desk.deps.clock }, decideOnce, ({ service = '' }) =>
    desk.moved(service, seen.intents.get(service)?.etag ?? null),
  );
}

/** The one service that a mutation is about; null = it may touch several. */
function serviceOf(mutation: ServiceMutation): string | null {
  if ('service' in mutation) return mutation.service;
  return 'selector' in mutation ? (mutation.selector.service ?? null) : null;
}

function damageIn(world: World, decision: Decision): Problem | null {
  for (const service of decision.records.keys()) {
    const damage = world.damaged.get(service);
    if (damage === undefined) continue;
    return {
      code: 'conflict',
      detail: `What was decided for ${service} cannot be read from ZooKeeper (${damage}), so nothing can be added to it. Mend or delete that znode first.`,
    };
  }
  return null;
}

/** Why nothing may be decided now, or null. */
export function officeRefusal(
  desk: Pick<MutationDesk, 'fenced' | 'hold' | 'known' | 'term'>,
  dryRun: boolean,
): Problem | null {
  if (desk.fenced()) return NOT_LEADER;
  const hold = desk.hold();
  if (hold !== null) return { code: 'not_ready', detail: hold };
  if (!desk.known())
    return {
      code: 'not_ready',
      detail: 'The registry has not been read completely yet. See /readyz, and try again.',
    };
  if (!desk.term() && !dryRun)
    return {
      code: 'not_ready',
      detail: 'This controller has not taken office yet. See /readyz, and try again.',
    };
  return null;
}

function changesOf(
  desk: MutationDesk,
  world: World,
  { by, records }: Pick<Decision, 'by' | 'records'>,
): readonly PlannedChange[] {
  const traffic = desk.traffic();
  return [...records].flatMap(([service, after]) => {
    const [members, before] = [membersIn(world, service), recordIn(world, service)];
    return diffRecords(service, members, before, after, dueOf(world), traffic.get(service) ?? null, by);
  });
}

function describeDryRun(desk: MutationDesk, world: World, decision: Decision): MutationResource {
  const drained = [...decision.records].flatMap(([service, record]) =>
    Object.entries(record.instances)
      .filter(
        ([id, intent]) =>
          drainOf(intent)?.state === 'draining' && own(recordIn(world, service).instances, id) !== intent,
      )
      .map(([id]) => proveDrained(service, id, drainTarget(world, service, id), world.witnesses)),
  );
  return {
    dry_run: true,
    changes: changesOf(desk, world, decision),
    guards: decision.guards,
    blockers: [...new Set(drained.flatMap((status) => status.waiting_for))],
    operation: null,
    published: false,
    etags: {},
  };
}

function describeDone(desk: MutationDesk, before: World, decision: Decision): MutationResource {
  const after = desk.world();
  const services = [...decision.records.keys()];
  const operation =
    decision.operation === null ? null : (describeOperation(after, decision.operation) ?? null);
  const etags = services.map((service) => [service, after.intents.get(service)?.etag ?? ''] as const);
  return {
    dry_run: false,
    changes: changesOf(desk, before, decision),
    guards: decision.guards,
    blockers: operation?.waiting_for ?? [],
    operation,
    published: decision.services.every((service) => desk.stands(service)),
    etags: Object.fromEntries(etags),
  };
}

type GatewayMutation = Extract<Mutation, { kind: 'forget_gateway' | 'leave_gateway' }>;

/**
 * Takes a gateway out of the roster. `leave` is sent by whatever stopped its nginx once the last worker is gone; `forget` is a
 * person's word that a silent one does not serve any more, and refuses one that is heard.
 */
export async function mutateGateway(
  desk: MutationDesk,
  mutation: GatewayMutation,
  context: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const refusal = officeRefusal(desk, context.dry_run);
  if (refusal) return err(refusal);
  const { gateway: id, kind } = mutation;
  const world = desk.world();
  const heard = world.witnesses.fleet.heard.get(id);
  const entry = world.witnesses.roster.get(id);
  if (!heard && !entry && !world.witnesses.fleet.listed.has(id))
    return err({ code: 'not_found', field: 'gateway', detail: `There is no gateway ${id}` });
  const live = heard !== undefined && !isSilent(heard, world.witnesses);
  if (kind === 'forget_gateway' && context.reason.trim() === '')
    return err({
      code: 'invalid_request',
      field: 'reason',
      detail: 'Forgetting a gateway needs a reason: say how it is known not to serve',
    });
  if (kind === 'forget_gateway' && live) return err(stillServes(id));
  const change: PlannedChange = {
    service: '',
    instance: null,
    field: `gateway ${id}`,
    from: 'in the roster',
    to: 'out of the roster',
  };
  if (!context.dry_run) {
    if (kind === 'leave_gateway' && !(await fellSilent(desk, id))) return err(stillServes(id));
    const failure = await takeOut(desk, id, kind === 'leave_gateway' ? 'left' : 'forgotten');
    if (failure) return err(failure);
    desk.deps.log.warn({ gateway: id, by: context.by, reason: context.reason }, `${kind}: out of the roster`);
    await desk.settled();
  }
  const { dry_run } = context;
  return ok({
    dry_run,
    changes: [change],
    guards: [],
    blockers: [],
    operation: null,
    published: !dry_run,
    etags: {},
  });
}

/** Why a gateway that is heard cannot be taken out. */
export function stillServes(id: string): Problem {
  return {
    code: 'conflict',
    field: 'gateway',
    detail: `Gateway ${id} is heard right now, so it serves. Stop it first; then it can leave or be forgotten.`,
  };
}

/** A gateway beats once a second, so one that makes no sound for this long has really stopped. */
const QUIET_MS = 1_300;
/** One that was stopped a moment ago is given this long to become quiet. */
const PATIENCE_MS = 4_000;

/** The word of who stopped it is taken, unless it goes on beating. */
async function fellSilent(desk: MutationDesk, id: string): Promise<boolean> {
  const { clock } = desk.deps;
  const until = clock.monotonic() + PATIENCE_MS;
  for (;;) {
    const heard = desk.world().witnesses.fleet.heard.get(id);
    const now = clock.monotonic();
    const left = heard ? heard.changed_at + QUIET_MS - now : 0;
    if (left <= 0) return true;
    if (now >= until) return false;
    await desk.pause(left);
  }
}

/** The entry of one that was heard and is not in the roster yet. */
function entryOf(heard: HeardGateway | undefined, wall: number): RosterEntry | null {
  if (!heard) return null;
  const { id, boot, host } = heard.heartbeat;
  return { id, boot, host, since: new Date(wall).toISOString() };
}

/** Takes one out of the roster, then out of Redis. Null, or why it is still in. */
export async function takeOut(
  desk: MutationDesk,
  id: string,
  how: Departure['how'],
): Promise<Problem | null> {
  const removeOnce = async (): Promise<Try<null>> => {
    const refusal = officeRefusal(desk, false);
    const term = desk.term();
    if (refusal !== null || term === null) return { kind: 'answered', answer: err(refusal ?? NOT_LEADER) };
    const { wall, witnesses } = desk.world();
    const entry = witnesses.roster.get(id) ?? entryOf(witnesses.fleet.heard.get(id), wall);
    const gone = { at: new Date(wall).toISOString(), how };
    // It stays in the roster as one that has gone, so that a proof can name it. What was never heard leaves no trace.
    const removed = entry
      ? await desk.deps.roster.put(term, { ...entry, gone })
      : await desk.deps.roster.remove(term, id);
    return removed.ok
      ? { kind: 'answered', answer: ok(null) }
      : { kind: 'refused', term, failure: removed.error };
  };
  const deps = { ...desk, clock: desk.deps.clock };
  const removed = await decideAndWrite(deps, removeOnce, () => Promise.resolve());
  if (!removed.ok) return removed.error;
  await desk.deps.feedback.forget(id);
  return null;
}
