import type { InstanceIntent, IntentRecord, ServiceEvent } from '../model/intent.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/resources.js';
import { err, ok, type Result } from '../model/result.js';
import { isObject } from '../model/shape.js';
import { eventOf, recordOf, type DecisionState, type Proposal } from './decision.js';
import { revise, wishOf, withIntent } from './record.js';
import { mergeSpec, specFaults } from './spec.js';

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
  const taken = takenRoutes(mutation, state);
  if (taken.length > 0)
    return err({
      code: 'route_taken',
      field: 'routes',
      detail: `${taken.join('; ')}. Take it away there first.`,
    });
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
  const message = `changed ${pathsIn(mutation.spec).join(', ')}`;
  const event = eventOf(state, mutation, context, { event: 'spec_changed', message });
  return ok(changed(mutation.service, revise(record, { spec }, [event])));
}

/** `retry.tries` and the like: what a patch names. */
function pathsIn(patch: object): readonly string[] {
  return Object.entries(patch).flatMap(([name, value]: readonly [string, unknown]) => {
    if (value === undefined) return [];
    const inner = isObject(value) ? pathsIn(value) : [];
    return inner.length === 0 ? [name] : inner.map((path) => `${name}.${path}`);
  });
}

function takenRoutes(mutation: PatchSpec, state: DecisionState): readonly string[] {
  const wanted = mutation.spec.routes ?? [];
  return [...state.intents]
    .filter(([service]) => service !== mutation.service)
    .flatMap(([service, { record }]) =>
      (record.spec.routes ?? [])
        .filter((route) => wanted.some((one) => one.host === route.host && one.path === route.path))
        .map((route) => `The route ${route.host} ${route.path} belongs to ${service}`),
    );
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
    (id) => !members?.has(id) && !wishOf(record.instances, id),
  );
  if (unknown.length > 0)
    return err({
      code: 'not_found',
      field: 'weights',
      detail: `${service} has no such instance: ${unknown.join(', ')}. See GET /v1/services/${service}/instances`,
    });
  let instances = record.instances;
  const events: ServiceEvent[] = [];
  for (const [id, weight] of Object.entries(mutation.weights)) {
    if ((wishOf(instances, id)?.weight ?? null) === weight) continue;
    instances = withIntent(instances, id, (before) => wished(before, { weight }, context, state));
    const message = weight === null ? 'took its registered weight back' : `weight set to ${String(weight)}`;
    events.push(eventOf(state, mutation, context, { event: 'weight_changed', instance: id, message }));
  }
  for (const [id, backup] of Object.entries(backups)) {
    if ((wishOf(instances, id)?.backup ?? null) === backup) continue;
    instances = withIntent(instances, id, (before) => wished(before, { backup }, context, state));
    const message =
      backup === null ? 'is a backup or not as it registers' : backup ? 'made a backup' : 'made no backup';
    events.push(eventOf(state, mutation, context, { event: 'backup_changed', instance: id, message }));
  }
  if (events.length === 0) return ok(unchanged(service));
  return ok(changed(service, revise(record, { instances }, events)));
}

/** `before` with one member set, or with null taken away. */
function wished(
  before: InstanceIntent | undefined,
  change: { readonly weight: number | null } | { readonly backup: boolean | null },
  context: MutationContext,
  state: DecisionState,
): InstanceIntent | undefined {
  const { weight: oldWeight, backup: oldBackup, ...rest } = before ?? {};
  const weight = ('weight' in change ? change.weight : oldWeight) ?? undefined;
  const backup = ('backup' in change ? change.backup : oldBackup) ?? undefined;
  const wish = { ...(weight === undefined ? {} : { weight }), ...(backup === undefined ? {} : { backup }) };
  const takesBack = Object.values(change).includes(null);
  // A wish about the state keeps its own author, reason and expiry; one without takes this request's.
  if (before && (takesBack || before.state !== undefined)) return { ...(rest as InstanceIntent), ...wish };
  const expires =
    context.expires_ms === null ? {} : { expires: new Date(state.wall + context.expires_ms).toISOString() };
  return {
    ...wish,
    by: context.by,
    reason: context.reason,
    at: new Date(state.wall).toISOString(),
    ...expires,
  };
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
  const message = listed.length === 0 ? 'took the version shares away' : `shares set to ${listed.join(', ')}`;
  const event = eventOf(state, mutation, context, { event: 'shares_changed', message });
  return ok(changed(service, revise(record, { versions }, [event])));
}

function changed(service: string, record: IntentRecord): Proposal {
  return { services: [service], records: new Map([[service, record]]), operation: null };
}

function unchanged(service: string): Proposal {
  return { services: [service], records: new Map(), operation: null };
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
