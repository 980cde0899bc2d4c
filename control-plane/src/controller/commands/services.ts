import type { AuditRecord } from '../../model/audit.js';
import { own } from '../../model/dictionary.js';
import type { IntentRecord } from '../../model/intent.js';
import type { IntentEdit } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import { objectOf } from '../../model/mutation_object.js';
import { err, ok, type Result } from '../../model/result.js';
import { dueOf } from '../../plan/clock.js';
import { decide, type Decision, type ServiceMutation } from '../../plan/decide.js';
import { withoutContract } from '../../plan/choose_contract.js';
import { describeOperation } from '../../plan/describe_fleet.js';
import { diffRecords } from '../../plan/diff.js';
import { neededBy, protectedBy } from '../../plan/encode.js';
import { drainOf } from '../../plan/layers.js';
import { proveDrained } from '../../plan/proof.js';
import { undoOf } from '../../plan/undo.js';
import { drainTarget, membersIn, recordIn, type World } from '../../plan/world.js';
import type { CommandContext } from './context.js';
import { noUndo } from './entry.js';
import { perform } from './perform.js';
import { into } from './writing.js';

/** How long a change waits for a record that somebody else wrote, in milliseconds. */
const UPDATED_MS = 1_000;

/** What was decided, on which world, and what it changes there. */
interface Decided {
  readonly world: World;
  readonly decision: Decision;
  readonly changes: readonly PlannedChange[];
}

/** Changes the intents of one or several services, in one transaction. */
export async function mutateServices(
  context: CommandContext,
  mutation: ServiceMutation,
  caller: MutationContext,
  undone?: AuditRecord,
): Promise<Result<MutationResource, Problem>> {
  for (const service of sharedBy(mutation, undone)) {
    const steering = context.inputs.traffic.get(service)?.release;
    if (steering !== undefined) return err(steeredBy(steering));
  }
  const newId = context.newId();
  const done = await perform(context, caller, {
    kind: mutation.kind,
    queue: serviceOf(mutation),
    decide: () => decideNow(context, { mutation, caller, newId, undone }),
    writes: ({ world, decision: { records } }) => {
      const edits = [...records].map(([service, record]): IntentEdit => {
        return { service, etag: etagIn(world, service), record };
      });
      return edits.length === 0 ? null : into(context.intents, edits);
    },
    updated: ({ world }, { name: service = '' }) =>
      context.passes.until(UPDATED_MS, () => etagIn(context.world(), service) !== etagIn(world, service)),
    audit: ({ world, decision, changes }) => ({
      object: undone === undefined ? objectOf(mutation) : `${undone.verb} of ${undone.object}`,
      ...{ services: [...decision.records.keys()], changes, operation: decision.operation },
      guards: decision.guards.map(({ message }) => message),
      undo:
        mutation.kind === 'hold' || mutation.kind === 'accept'
          ? noUndo(ANSWERED)
          : mutation.kind === 'breaker'
            ? noUndo(FREED)
            : undoOf([...decision.records].map(([name, after]) => [name, recordIn(world, name), after])),
      ...(undone === undefined ? {} : { undoes: undone.n }),
    }),
  });
  if (!done.ok) return done;
  const describe = caller.dry_run ? describeDryRun : describeDone;
  return ok(describe(context, done.value));
}

const ANSWERED =
  'a word about instances that vanished is taken back by the other one, ebbgate hold or ebbgate accept; what is gone comes back by registering';

const FREED = 'a word about a breaker is taken back by ebbgate breaker SVC auto, or by another word';

interface Asked {
  readonly mutation: ServiceMutation;
  readonly caller: MutationContext;
  readonly newId: string;
  readonly undone: AuditRecord | undefined;
}

/** The services whose shares it sets. */
function sharedBy(mutation: ServiceMutation, undone: AuditRecord | undefined): readonly string[] {
  if (mutation.kind === 'set_versions') return [mutation.service];
  if (mutation.kind !== 'undo' || undone?.undo.kind !== 'services') return [];
  return undone.undo.services.filter(({ versions }) => versions !== null).map(({ service }) => service);
}

function decideNow(
  context: CommandContext,
  { mutation, caller, newId, undone }: Asked,
): Result<Decided, Problem> {
  const world = context.world();
  const decision = decide(mutation, caller, {
    intents: world.intents,
    membership: world.membership,
    traffic: context.inputs.traffic,
    witnesses: world.witnesses,
    wall: world.wall,
    due: dueOf(world),
    newId,
    drain_timeout_ms: context.settings.drainTimeoutMs,
    ...(undone === undefined ? {} : { undo: undone }),
  });
  if (!decision.ok) return decision;
  const damage = damageIn(world, decision.value);
  if (damage) return err(damage);
  const refused = refusedByGateways(world, decision.value);
  if (refused) return err(refused);
  return ok({ world, decision: decision.value, changes: changesOf(context, world, decision.value) });
}

function etagIn(world: World, service: string): string | null {
  return world.intents.get(service)?.etag ?? null;
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

function protectionIn({ spec, breaker }: IntentRecord): Parameters<typeof neededBy>[0] {
  return { ...spec, ...(breaker ? { breaker_forced: breaker.state } : {}) };
}

/** Why what is decided anew must not be published yet: a gateway would refuse the set that says it. */
function refusedByGateways(world: World, { records }: Decision): Problem | null {
  for (const [service, record] of records) {
    const protection = protectionIn(record);
    const needed = neededBy(protection);
    if (needed <= neededBy(protectionIn(recordIn(world, service)))) continue;
    const gateways = withoutContract(world.witnesses, needed);
    if (gateways.length === 0) continue;
    const what = protectedBy(protection);
    return {
      code: 'conflict',
      field: what[0] ?? '',
      detail: `${gateways.join(', ')} cannot enforce the ${what.join(' and ')} of ${service}, and would refuse what says so. Upgrade every gateway first, or forget those that are gone.`,
    };
  }
  return null;
}

function changesOf(
  context: CommandContext,
  world: World,
  { by, records }: Pick<Decision, 'by' | 'records'>,
): readonly PlannedChange[] {
  const traffic = context.inputs.traffic;
  return [...records].flatMap(([service, after]) => {
    const [members, before] = [membersIn(world, service), recordIn(world, service)];
    return diffRecords(service, members, before, after, dueOf(world), traffic.get(service) ?? null, by);
  });
}

function describeDryRun(_: CommandContext, { world, decision, changes }: Decided): MutationResource {
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
    changes,
    guards: decision.guards,
    blockers: [...new Set(drained.flatMap((status) => status.waiting_for))],
    operation: null,
    published: false,
    etags: {},
  };
}

function describeDone(context: CommandContext, { decision, changes }: Decided): MutationResource {
  const after = context.world();
  const services = [...decision.records.keys()];
  const operation =
    decision.operation === null ? null : (describeOperation(after, decision.operation) ?? null);
  const etags = services.map((service) => [service, after.intents.get(service)?.etag ?? ''] as const);
  return {
    dry_run: false,
    changes,
    guards: decision.guards,
    blockers: operation?.waiting_for ?? [],
    operation,
    published: decision.services.every((service) => context.compilation.isInForce(service)),
    etags: Object.fromEntries(etags),
  };
}

function steeredBy(release: string): Problem {
  const detail = `Release ${release} steers the shares. Move it, or abort it, instead of setting them by hand.`;
  return { code: 'conflict', field: 'body', detail };
}
