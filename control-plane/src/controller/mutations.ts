import type { IntentRecord } from '../model/intent.js';
import type {
  Clock,
  Feedback,
  IntentEdit,
  IntentStore,
  Log,
  RosterStore,
  Term,
  WriteFailure,
} from '../model/ports.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../model/resources.js';
import { err, ok, type Result } from '../model/result.js';
import { decide, type Decision, type ServiceMutation } from '../plan/decide.js';
import { describeOperation } from '../plan/describe_fleet.js';
import { diffRecords } from '../plan/diff.js';
import { isSilent, proveDrained } from '../plan/proof.js';
import { drainTarget, membersIn, recordIn, type World } from '../plan/world.js';

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
  readonly fence: () => void;
  readonly known: () => boolean;
  readonly world: () => World;
  /** Runs a pass now and waits for it, for a bounded time. */
  readonly settled: () => Promise<void>;
  /** True if the set that is wanted for a service stands in Redis. */
  readonly stands: (service: string) => boolean;
}

/** A record that changed under the hand is decided anew this often. */
const ATTEMPTS = 4;

const NOT_LEADER: Problem = {
  code: 'not_leader',
  detail:
    'Another controller has taken office. Send this to that one, or restart this one to take office back.',
};
const UNAVAILABLE = (reason: string): Problem => ({
  code: 'zookeeper_unavailable',
  detail: `ZooKeeper did not take the write (${reason}). It may have been applied: read before trying again, or repeat it with the same Idempotency-Key.`,
});

/** Judges a mutation of services, writes it as one transaction, and publishes it at once. */
export async function mutateServices(
  desk: MutationDesk,
  mutation: ServiceMutation,
  context: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const refusal = officeRefusal(desk, context);
  if (refusal) return err(refusal);
  const newId = desk.deps.newId();
  for (let attempt = 1; ; attempt += 1) {
    const world = desk.world();
    const decided = decide(mutation, context, {
      intents: world.intents,
      membership: world.membership,
      wall: world.wall,
      newId,
      drain_timeout_ms: desk.deps.settings.drainTimeoutMs,
    });
    if (!decided.ok) return decided;
    if (context.dry_run) return ok(describeDryRun(world, decided.value));
    const written = await write(desk, world, decided.value);
    if (written.ok) {
      await desk.settled();
      return ok(describeDone(desk, world, decided.value));
    }
    if (written.error.kind === 'fenced') {
      desk.fence();
      return err(NOT_LEADER);
    }
    if (written.error.kind === 'unavailable') return err(UNAVAILABLE(written.error.reason));
    if (attempt >= ATTEMPTS)
      return err({ code: 'conflict', detail: 'The record keeps changing under the hand. Try again.' });
    await desk.settled();
  }
}

function officeRefusal(desk: MutationDesk, context: MutationContext): Problem | null {
  if (desk.fenced()) return NOT_LEADER;
  if (!desk.known())
    return {
      code: 'not_ready',
      detail: 'The registry has not been read completely yet. See /readyz, and try again.',
    };
  if (!desk.term() && !context.dry_run)
    return {
      code: 'not_ready',
      detail: 'This controller has not taken office yet. See /readyz, and try again.',
    };
  return null;
}

async function write(
  desk: MutationDesk,
  world: World,
  decision: Decision,
): Promise<Result<unknown, WriteFailure>> {
  const term = desk.term();
  if (!term) return err({ kind: 'unavailable', reason: 'not in office' });
  if (decision.records.size === 0) return ok(undefined);
  const edits = [...decision.records].map(([service, record]): IntentEdit => {
    return { service, etag: world.intents.get(service)?.etag ?? null, record };
  });
  return desk.deps.intents.write(term, edits);
}

function changesOf(world: World, records: ReadonlyMap<string, IntentRecord>): readonly PlannedChange[] {
  return [...records].flatMap(([service, after]) =>
    diffRecords(service, membersIn(world, service), recordIn(world, service), after, world.wall),
  );
}

function describeDryRun(world: World, decision: Decision): MutationResource {
  const drained = [...decision.records].flatMap(([service, record]) =>
    Object.entries(record.instances)
      .filter(
        ([id, intent]) => intent.state === 'draining' && recordIn(world, service).instances[id] !== intent,
      )
      .map(([id]) => proveDrained(service, id, drainTarget(world, service, id), world.witnesses)),
  );
  return {
    dry_run: true,
    changes: changesOf(world, decision.records),
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
    changes: changesOf(before, decision.records),
    guards: decision.guards,
    blockers: operation?.waiting_for ?? [],
    operation,
    published: services.every((service) => desk.stands(service)),
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
  const refusal = officeRefusal(desk, context);
  if (refusal) return err(refusal);
  const { gateway: id, kind } = mutation;
  const world = desk.world();
  const heard = world.witnesses.fleet.heard.get(id);
  const entry = world.witnesses.roster.get(id);
  if (!heard && !entry)
    return err({ code: 'not_found', field: 'gateway', detail: `There is no gateway ${id}` });
  const live = heard !== undefined && !isSilent(heard, world.witnesses);
  if (kind === 'forget_gateway' && context.reason.trim() === '')
    return err({
      code: 'invalid_request',
      field: 'reason',
      detail: 'Forgetting a gateway needs a reason: say how it is known not to serve',
    });
  if (kind === 'forget_gateway' && live)
    return err({
      code: 'conflict',
      field: 'gateway',
      detail: `Gateway ${id} is heard right now, so it serves. Stop it first; then it can leave or be forgotten.`,
    });
  const change: PlannedChange = {
    service: '',
    instance: null,
    field: `gateway ${id}`,
    from: 'in the roster',
    to: 'out of the roster',
  };
  if (!context.dry_run) {
    const failure = await takeOut(desk, id);
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

async function takeOut(desk: MutationDesk, id: string): Promise<Problem | null> {
  const term = desk.term();
  if (!term) return NOT_LEADER;
  const removed = await desk.deps.roster.remove(term, id);
  if (removed.ok) {
    await desk.deps.feedback.forget(id);
    return null;
  }
  if (removed.error.kind === 'fenced') {
    desk.fence();
    return NOT_LEADER;
  }
  return UNAVAILABLE(removed.error.kind === 'unavailable' ? removed.error.reason : removed.error.kind);
}
