import { dueOf } from './clock.js';
import type { Decided, IntentRecord, ServiceEvent, ServiceSpec } from '../model/intent.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { err, ok, type Result } from '../model/result.js';
import { isObject } from '../model/shape.js';
import {
  authorOf,
  eventOf,
  recordOf,
  refuseRoutes,
  type DecisionState,
  type Proposal,
  changed,
  unchanged,
} from './decision.js';
import { diffSpec, sharesText } from './diff.js';
import { layersOf, spellAuthor, describeLayerChange, type Layers } from './layers.js';
import type { Member } from './membership.js';
import { shareOf } from './release/shares.js';
import { inForce, revise, instanceIntent, withLayers } from './record.js';
import { keepsAll, mergeSpec, specFaults } from './spec.js';

type PatchSpec = Extract<Mutation, { kind: 'patch_spec' }>;
type SetWeights = Extract<Mutation, { kind: 'set_weights' }>;
type SetVersions = Extract<Mutation, { kind: 'set_versions' }>;

/** A merge patch of the spec (RFC 7396). Routes that another service has are refused, and members that do not go together. */
export function decideSpec(
  mutation: PatchSpec,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const record = recordOf(state, mutation.service);
  const spec = mergeSpec(record.spec, mutation.spec);
  if (sameJson(spec, record.spec)) return ok(unchanged(mutation.service));
  const faults = specFaults(spec);
  if (faults.length > 0) {
    const sentences = faults.map(({ path, message }) => `body.${path.join('.')} ${message}`);
    return err({
      code: 'invalid_request',
      field: `body.${faults[0]?.path.join('.') ?? ''}`,
      detail: sentences.join('; '),
    });
  }
  const refused = mutation.spec.routes ? refuseRoutes(mutation.service, spec.routes ?? [], state) : null;
  if (refused !== null) return err(refused);
  const message = `changed ${changesIn(mutation, record.spec, spec).join(', ')}`;
  const effects = keepsAll(record.spec, spec)
    ? []
    : replaced('what was last changed', record.spec_by, context);
  const event = eventOf(state, mutation, context, { event: 'spec_changed', message, effects });
  const author = authorOf({ ...context, expires_ms: null }, state);
  return ok(changed(mutation.service, revise(record, { spec, spec_by: author }, [event])));
}

/** What a patch names, with its values before and after where they differ: `retry.tries: 2 → 3`. */
function changesIn({ service, spec: patch }: PatchSpec, before: ServiceSpec, after: ServiceSpec) {
  const lines = diffSpec(service, before, after);
  return pathsIn(patch).flatMap((path) => {
    const of = lines.filter(({ field }) => field === path || field.startsWith(`${path}.`));
    return of.length === 0 ? [path] : of.map(({ field, from, to }) => `${field}: ${from} → ${to}`);
  });
}

/** `retry.tries` and the like: what a patch names. */
function pathsIn(patch: object): readonly string[] {
  return Object.entries(patch).flatMap(([name, value]: readonly [string, unknown]) => {
    if (value === undefined) return [];
    const inner = isObject(value) ? pathsIn(value) : [];
    return inner.length === 0 ? [name] : inner.map((path) => `${name}.${path}`);
  });
}

/** Weights and roles by instance; null takes what is registered back. */
export function decideWeights(
  mutation: SetWeights,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const { service } = mutation;
  const record = recordOf(state, service);
  const members = state.membership.get(service);
  const backups = mutation.backups ?? {};
  const unknown = [...new Set([...Object.keys(mutation.weights), ...Object.keys(backups)])].filter(
    (id) => !members?.has(id) && !instanceIntent(record.instances, id),
  );
  if (unknown.length > 0)
    return err({
      code: 'not_found',
      field: 'weights',
      detail: `${service} has no such instance: ${unknown.join(', ')}. See GET /v1/services/${service}/instances`,
    });
  const author = authorOf(context, state);
  const events: ServiceEvent[] = [];
  let instances = record.instances;
  const set = (id: string, event: string, message: string, change: (layers: Layers) => Layers): void => {
    const before = inForce(instanceIntent(instances, id), dueOf(state));
    instances = withLayers(instances, id, () => change(layersOf(before)));
    const effects = describeLayerChange(before, inForce(instanceIntent(instances, id), dueOf(state)));
    events.push(eventOf(state, mutation, context, { event, instance: id, message, effects }));
  };
  for (const [id, weight] of Object.entries(mutation.weights)) {
    const present = layersOf(inForce(instanceIntent(instances, id), dueOf(state))).weight;
    if (isSo(present, weight, author)) continue;
    const message = weight === null ? 'has its registered weight again' : `weight set to ${String(weight)}`;
    set(id, 'weight_changed', message, ({ weight: _weight, ...others }) =>
      weight === null ? others : { ...others, weight: { ...author, value: weight } },
    );
  }
  for (const [id, backup] of Object.entries(backups)) {
    const present = layersOf(inForce(instanceIntent(instances, id), dueOf(state))).backup;
    if (isSo(present, backup, author)) continue;
    const message =
      backup === null
        ? 'is a backup only if it registers as one'
        : backup
          ? 'made a backup'
          : 'made no backup';
    set(id, 'backup_changed', message, ({ backup: _backup, ...others }) =>
      backup === null ? others : { ...others, backup: { ...author, value: backup } },
    );
  }
  if (events.length === 0) return ok(unchanged(service));
  return ok(changed(service, revise(record, { instances }, events)));
}

/** True if a value is set as asked for, and for as long. */
function isSo(
  present: (Decided & { readonly value: unknown }) | undefined,
  value: unknown,
  author: Decided,
): boolean {
  if ((present?.value ?? null) !== value) return false;
  return present?.expires === undefined && author.expires === undefined;
}

/** What is shown where somebody else's decision is replaced. */
function replaced(
  what: string,
  before: Decided | undefined,
  { by }: Pick<MutationContext, 'by'>,
): readonly string[] {
  return before === undefined || before.by === by ? [] : [`replaces ${what} ${spellAuthor(before)}`];
}

/** Shares by version in percent; they sum to 100, or are none at all. */
export function decideVersions(
  mutation: SetVersions,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const { service, versions } = mutation;
  const record = recordOf(state, service);
  const sum = Object.values(versions).reduce((total, share) => total + share, 0);
  if (Object.keys(versions).length > 0 && Math.abs(sum - 100) > 1e-9)
    return err({
      code: 'invalid_request',
      field: 'body',
      detail: `The shares must sum to 100, and they sum to ${String(sum)}. An empty object takes all shares away.`,
    });
  const members = [...(state.membership.get(service)?.values() ?? [])];
  const unknown = Object.entries(versions)
    .filter(([version, share]) => share > 0 && !members.some((one) => one.registration.version === version))
    .map(([version]) => version);
  if (unknown.length > 0)
    return err({
      code: 'not_found',
      field: `body.${unknown[0] ?? ''}`,
      detail: `No instance of ${service} has version ${unknown.join(', ')}; its share would be lost`,
    });
  if (sameJson(versions, record.versions)) return ok(unchanged(service));
  const listed = Object.entries(versions).map(([version, share]) => `${version} ${String(share)} %`);
  const message = listed.length === 0 ? 'removed the version shares' : `shares set to ${listed.join(', ')}`;
  const effects = replaced(sharesText(record.versions), record.versions_by, context);
  const event = eventOf(state, mutation, context, { event: 'shares_changed', message, effects });
  const versions_by = listed.length === 0 ? null : authorOf({ ...context, expires_ms: null }, state);
  return ok(
    changed(
      service,
      revise(record, { versions, versions_by, fallback: fallbackOf(record, versions, members) }, [event]),
    ),
  );
}

/** The version that served most before, and gets nothing by the new shares; null = none. */
function fallbackOf(
  record: IntentRecord,
  versions: Readonly<Record<string, number>>,
  members: readonly Member[],
): string | null {
  if (Object.keys(versions).length === 0) return null;
  const decided = Object.entries(record.versions);
  const before = decided.length > 0 ? decided : countVersions(members);
  const [most] = before.filter(([, share]) => share > 0).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  if (most && shareOf(versions, most[0]) === 0) return most[0];
  const kept = record.fallback;
  return kept !== undefined && shareOf(versions, kept) === 0 ? kept : null;
}

function countVersions(members: readonly Member[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { registration, presence } of members)
    if (presence !== 'gone') counts.set(registration.version, (counts.get(registration.version) ?? 0) + 1);
  return [...counts];
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
