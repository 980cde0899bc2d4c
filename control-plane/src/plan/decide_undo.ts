import type { AuditRecord, ServiceUndo } from '../model/audit.js';
import type { InstanceIntent, IntentRecord, ServiceSpec } from '../model/intent.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import { err, ok, type Result } from '../model/result.js';
import { dueOf } from './clock.js';
import { authorOf, eventOf, recordOf, refuseRoutes, type DecisionState, type Proposal } from './decision.js';
import { freezeText, isFrozen } from './freeze.js';
import { spellLayers } from './layers.js';
import { inForce, instanceIntent, revise } from './record.js';
import { specFaults } from './spec.js';
import { digestOf, sectionOf, sharesIn, spellRecord } from './undo.js';

type UndoMutation = Extract<Mutation, { kind: 'undo' }>;

/** How many things that were changed since a refusal names. */
const MOST_NAMED = 10;

/** Gives what a record changed back what it had before, all of it or nothing: what was changed since is in the way. */
export function decideUndo(
  mutation: UndoMutation,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const record = state.undo;
  if (record === undefined || record.undo.kind !== 'services') return err(notUndoable(record));
  const { services } = record.undo;
  const changed = services.flatMap((one) => changedSince(one, state));
  if (changed.length > 0) return err(changedProblem(record, changed));
  const records = new Map<string, IntentRecord>();
  for (const one of services) {
    const before = recordOf(state, one.service);
    const spec = specBefore(before.spec, one);
    const wrong = unfit(one, spec, state);
    if (wrong !== null) return err(wrong);
    const message = `undid ${spellRecord(record)}`;
    const event = eventOf(state, mutation, context, { event: 'undone', message });
    records.set(one.service, revise(before, changesOf(one, before, spec, context, state), [event]));
  }
  return ok({ services: services.map(({ service }) => service), records, operation: null });
}

/** Why a record cannot be undone. */
export function notUndoable(record: AuditRecord | undefined): Problem {
  if (record === undefined) return { code: 'not_found', detail: 'There is no such record' };
  const why = record.undo.kind === 'none' ? record.undo.why : 'its kind is not known here';
  return { code: 'conflict', detail: `${capital(spellRecord(record))} cannot be undone: ${why}` };
}

/** What was changed since a record is in the way of undoing it. */
export function changedProblem(record: AuditRecord, changed: readonly string[]): Problem {
  const left = changed.length - MOST_NAMED;
  const named = [...changed.slice(0, MOST_NAMED), ...(left > 0 ? [`and ${String(left)} more`] : [])];
  const detail = `Changed since ${spellRecord(record)}: ${named.join('; ')}. Nothing was undone. Undo the newer change first, or change what you want by hand.`;
  return { code: 'conflict', detail, blockers: changed };
}

/** What is not as the record left it, a sentence each. */
function changedSince(undo: ServiceUndo, state: DecisionState): readonly string[] {
  const { service } = undo;
  const now = recordOf(state, service);
  const instances = undo.instances.flatMap(({ id, after }) => {
    const present = instanceIntent(now.instances, id);
    if (digestOf(present) === after) return [];
    const layers = spellLayers(inForce(present, dueOf(state)));
    return [`${service}/${id} (now ${layers.join(', ') || 'nothing decided'})`];
  });
  const sections = undo.spec
    .filter(({ section, after }) => digestOf(sectionOf(now.spec, section)) !== after)
    .map(
      ({ section }) =>
        `${service} ${section}${now.spec_by === undefined ? '' : ` (now by ${now.spec_by.by})`}`,
    );
  const shares =
    undo.versions !== null && digestOf(sharesIn(now)) !== undo.versions.after
      ? [`${service} versions${now.versions_by === undefined ? '' : ` (now by ${now.versions_by.by})`}`]
      : [];
  const freeze =
    undo.freeze !== null && digestOf(now.freeze) !== undo.freeze.after
      ? [`${service} freeze (now ${freezeText(now.freeze)})`]
      : [];
  return [...instances, ...sections, ...shares, ...freeze];
}

function changesOf(
  undo: ServiceUndo,
  now: IntentRecord,
  spec: ServiceSpec,
  context: MutationContext,
  state: DecisionState,
): Parameters<typeof revise>[1] {
  const given = new Map<string, InstanceIntent>(Object.entries(now.instances));
  for (const { id, before } of undo.instances) {
    // What was to end by itself meanwhile has ended.
    const lasting = inForce(before ?? undefined, dueOf(state));
    if (lasting === undefined) given.delete(id);
    else given.set(id, lasting);
  }
  const { versions, freeze } = undo;
  return {
    instances: Object.fromEntries(given),
    ...(undo.spec.length === 0 ? {} : { spec, spec_by: authorOf({ ...context, expires_ms: null }, state) }),
    ...(versions === null ? {} : versions.before),
    ...(freeze === null ? {} : { freeze: isFrozen(freeze.before, dueOf(state)) ? freeze.before : null }),
  };
}

function specBefore(now: ServiceSpec, { spec }: ServiceUndo): ServiceSpec {
  const sections = new Map<string, unknown>(Object.entries(now));
  for (const { section, before } of spec) {
    if (before === null) sections.delete(section);
    else sections.set(section, before);
  }
  return Object.fromEntries(sections) as ServiceSpec;
}

/** Why the spec of before may not be given again, or null. */
function unfit(undo: ServiceUndo, spec: ServiceSpec, state: DecisionState): Problem | null {
  if (undo.spec.length === 0) return null;
  const refused = refuseRoutes(undo.service, spec.routes ?? [], state);
  if (refused !== null) return refused;
  const faults = specFaults(spec);
  if (faults.length === 0) return null;
  const sentences = faults.map(({ path, message }) => `${path.join('.')} ${message}`);
  return { code: 'conflict', detail: `The spec of before is no more one: ${sentences.join('; ')}` };
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
