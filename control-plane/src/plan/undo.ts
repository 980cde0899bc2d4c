import { own } from '../model/dictionary.js';
import type { AuditRecord, NoUndo, ServiceUndo, SharesBefore, Undo, Was } from '../model/audit.js';
import type { Freeze } from '../model/freeze.js';
import type { InstanceIntent, IntentRecord, ServiceSpec } from '../model/intent.js';
import { sha1 } from './encode.js';
import { instanceIntent } from './record.js';

/*
 * What takes a change back: what was there before it, member by member, and a digest of what the change made of it. What has
 * another digest by now was changed since, and is left alone.
 */

/** A digest of a JSON value that does not depend on the order of its members; of nothing it is that of null. */
export function digestOf(value: unknown): string {
  return sha1(JSON.stringify(sorted(value ?? null))).slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]);
}

/** How the change of these records is taken back; a list of [service, before, after]. */
export function undoOf(changed: readonly (readonly [string, IntentRecord, IntentRecord])[]): Undo | NoUndo {
  const services = changed.map(([service, before, after]) => undoOfService(service, before, after));
  return { kind: 'services', services };
}

/** How the freeze of everything is taken back to what was before. */
export function undoOfFreeze(before: Freeze | null, after: Freeze | null): Undo {
  return { kind: 'freeze_all', before, after: digestOf(after) };
}

function undoOfService(service: string, before: IntentRecord, after: IntentRecord): ServiceUndo {
  const ids = new Set([...Object.keys(before.instances), ...Object.keys(after.instances)]);
  const instances = [...ids].flatMap((id) => {
    const was = wasOf<InstanceIntent | null>(
      instanceIntent(before.instances, id) ?? null,
      instanceIntent(after.instances, id) ?? null,
    );
    return was === null ? [] : [{ id, ...was }];
  });
  const sections = new Set([...Object.keys(before.spec), ...Object.keys(after.spec)]);
  const spec = [...sections].flatMap((section) => {
    const was = wasOf(sectionOf(before.spec, section), sectionOf(after.spec, section));
    return was === null ? [] : [{ section, ...was }];
  });
  return {
    ...{ service, instances, spec },
    versions: wasOf(sharesIn(before), sharesIn(after)),
    freeze: wasOf<Freeze | null>(before.freeze ?? null, after.freeze ?? null),
  };
}

/** What was there, unless it is the same; null if it is. */
function wasOf<T>(before: T, after: T): Was<T> | null {
  const digest = digestOf(after);
  return digestOf(before) === digest ? null : { before, after: digest };
}

/** A section as it is given; null = it is not. */
export function sectionOf(spec: ServiceSpec, section: string): unknown {
  return own(spec as Readonly<Record<string, unknown>>, section) ?? null;
}

/** What is decided of a service's shares. */
export function sharesIn(record: IntentRecord): SharesBefore {
  const { versions, versions_by: by, fallback } = record;
  return { versions, versions_by: by ?? null, fallback: fallback ?? null };
}

/** `drain of host=10.0.0.1 (record 12, by ann)` */
export function spellRecord({ n, verb, object, by }: AuditRecord): string {
  return `${verb} of ${object} (record ${String(n)}, by ${by})`;
}
