import type { PlannedChange } from '../../model/mutation.js';
import type { Problem } from '../../model/problem.js';
import type { ReleaseRecord, ServiceReleases, Verb } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type { ReleaseContext, ReleaseOutcome, ReleaseRequest } from '../../model/release_plane.js';
import type { ReleaseEdit } from '../../model/release_ports.js';
import { err, ok, type Result } from '../../model/result.js';
import { wantedHooks } from '../../plan/release/asks.js';
import { describeRelease } from '../../plan/release/describe.js';
import { guardStart } from '../../plan/release/guards.js';
import { readyVersions } from '../../plan/release/observe.js';
import { describePauses } from '../../plan/release/pauses.js';
import { startRelease } from '../../plan/release/start.js';
import { guarded, obey } from '../../plan/release/verbs.js';
import { isKnown, recordIn, type World } from '../../plan/world.js';
import { noUndo } from '../commands/entry.js';
import { perform } from '../commands/perform.js';
import { into } from '../commands/writing.js';
import type { ReleaseDeps } from './deps.js';
import { begunBy, checkPrecondition, editOf, refuseStart, requestOf } from './edits.js';
import type { Looks } from './looks.js';
import { refuseGates } from './outer_gates.js';
import type { ReleaseReads } from './reads.js';

/** What a client's call comes to before it is written. */
interface Decision {
  readonly record: ReleaseRecord;
  /** Before it; absent = there was none. */
  readonly before?: ReleaseRecord;
  /** False if it was so already, also where its key is written down. */
  readonly changed: boolean;
  readonly edit: ReleaseEdit | null;
  /** What would refuse it without force. */
  readonly guards?: readonly string[];
  /** What it does to the pauses of others. */
  readonly pauses?: readonly string[];
}

type Decide = (world: World, releases: ServiceReleases) => Result<Decision, Problem>;

export interface CommandDeps extends ReleaseDeps {
  readonly looks: Looks;
  readonly reads: ReleaseReads;
  readonly facts: (world: World, record: ReleaseRecord) => ReleaseFacts;
}

/** Starts a release, or says with `dry_run` what it would be. */
export function beginRelease(
  deps: CommandDeps,
  request: ReleaseRequest,
  context: ReleaseContext,
): Promise<Result<ReleaseOutcome, Problem>> {
  const { service } = request;
  const newId = deps.newId();
  return change(deps, 'start_release', service, context, (world, releases) => {
    if (!isKnown(world, service))
      return err({ code: 'not_found', field: 'service', detail: `there is no service ${service}` });
    const unreachable = refuseGates(request.gates, deps);
    if (unreachable) return err(unreachable);
    const text = requestOf(request);
    const repeated = begunBy(releases, context.idempotency_key, text);
    if (!repeated.ok) return repeated;
    if (repeated.value) return ok({ record: repeated.value, changed: false, edit: null });
    const started = startRelease(request, {
      releases,
      intent_shares: recordIn(world, service).versions,
      ready: readyVersions(world, service),
      drain_timeout_ms: deps.settings.drainTimeoutMs,
      newId,
      by: context.by,
      reason: context.reason,
      now: world.wall,
    });
    if (!started.ok) return started;
    const { record: planned, superseded } = started.value;
    const inForce = releases.current?.record.shares ?? null;
    const guards = guardStart(planned, deps.facts(world, planned), inForce);
    const refused =
      forbidden(deps, planned) ??
      refuseStart(request, planned, world) ??
      (guards.length > 0 && !context.force ? guarded(guards) : null);
    // A dry run is refused as the start would be: what only blocks a step is in its plan.
    if (refused) return err(refused);
    const { idempotency_key: key } = context;
    const record = { ...planned, verbs: key === null ? [] : [{ key, request: text }] };
    const etag = releases.current?.etag ?? null;
    return ok({
      record,
      changed: true,
      edit: { service, etag, current: record, archive: superseded },
      guards,
    });
  });
}

/** What a person wants of a running release. */
export async function moveRelease(
  deps: CommandDeps,
  id: string,
  verb: Verb,
  context: ReleaseContext,
): Promise<Result<ReleaseOutcome, Problem>> {
  const service = deps.reads.record(id)?.service;
  if (service === undefined) return err(absent(id));
  return change(deps, `${verb.verb}_release`, service, context, (world, releases) => {
    const current = releases.current?.record.id === id ? releases.current : null;
    const record = current ? deps.looks.present(current) : releases.history.find((one) => one.id === id);
    if (!record) return err(absent(id));
    const obeyed = obey(record, verb, context, deps.facts(world, record), world.wall);
    if (!obeyed.ok) return obeyed;
    const { record: next, changed } = obeyed.value;
    const edit = current && next !== record ? editOf(current, next) : null;
    return ok({ record: next, before: record, changed, edit, pauses: describePauses(record, next) });
  });
}

async function change(
  deps: CommandDeps,
  kind: string,
  service: string,
  context: ReleaseContext,
  decide: Decide,
): Promise<Result<ReleaseOutcome, Problem>> {
  const done = await perform(deps, context, {
    kind,
    queue: `@release ${service}`,
    decide: () => decideNow(deps, service, context, decide),
    writes: ({ edit }) => edit && into(deps.store, [edit]),
    audit: ({ record, before, guards = [] }) => ({
      ...{ object: `${service}/${record.id}`, services: [service], release: record.id, guards },
      changes: [changeOf(record, before)],
      undo: noUndo(`\`ebbgate release abort ${record.id}\` or \`rollback\` goes back`),
    }),
  });
  return done.ok ? ok(outcomeOf(deps, done.value, context)) : done;
}

function changeOf(after: ReleaseRecord, before: ReleaseRecord | undefined): PlannedChange {
  const [from, to] = [before, after].map((one) =>
    one === undefined ? '' : `${one.state}, step ${String(one.step + 1)}`,
  ) as [string, string];
  const field = `release ${after.stable} → ${after.target}`;
  return { service: after.service, instance: null, field, from, to };
}

function decideNow(
  { store, inputs, world }: CommandDeps,
  service: string,
  context: ReleaseContext,
  decide: Decide,
): Result<Decision, Problem> {
  const damage = store.damaged().get(service);
  if (damage !== undefined) return err(damaged(service, damage));
  const releases = inputs.releases?.get(service) ?? { current: null, history: [] };
  const decision = decide(world(), releases);
  if (!decision.ok) return decision;
  const { edit, changed } = decision.value;
  const stale = edit && changed ? checkPrecondition(releases, context) : null;
  return stale ? err(stale) : decision;
}

function outcomeOf(
  deps: CommandDeps,
  { record, changed, guards = [], pauses = [] }: Decision,
  { dry_run }: ReleaseContext,
): ReleaseOutcome {
  const world = deps.world();
  const release = dry_run ? undefined : deps.reads.byId(record.id);
  const plan = deps.reads.planOf(world, record);
  const blockers = [...guards, ...plan.blockers].concat(forbidden(deps, record)?.detail ?? []);
  return {
    ...{ dry_run, changed, notes: pauses },
    release: release ?? describeRelease(world, record, []),
    plan: { ...plan, blockers },
  };
}

/** Why a hook of a release may not be called, or null. */
function forbidden({ hooks }: CommandDeps, record: ReleaseRecord): Problem | null {
  for (const hook of wantedHooks(record)) {
    const detail = 'url' in hook ? hooks.forbids(hook.url) : hooks.forbidsCommand(hook.command);
    if (detail !== null) return { code: 'invalid_request', field: hook.field, detail };
  }
  return null;
}

function absent(id: string): Problem {
  return { code: 'not_found', detail: `there is no release ${id}` };
}

function damaged(service: string, damage: string): Problem {
  const detail = `The running release of ${service} cannot be read from ZooKeeper (${damage}). Mend or delete that znode first.`;
  return { code: 'conflict', detail };
}
