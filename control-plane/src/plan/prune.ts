import { NO_INTENT } from '../model/intent.js';
import type { PlannedChange } from '../model/mutation.js';
import type { ReadCopy } from '../model/truth_copy.js';
import { diffRecords } from './diff.js';
import { byCodeUnit } from './encode.js';
import { freezeText } from './freeze.js';
import type { Membership } from './membership.js';
import type { PresentRecords } from './restore.js';

/** What is removed because a document has it not. */
export interface Pruned {
  /** Services whose record and history go. */
  readonly services: ReadonlySet<string>;
  /** The freeze of everything ends. */
  readonly freeze: boolean;
  readonly changes: readonly PlannedChange[];
}

export const NOTHING_PRUNED: Pruned = { services: new Set(), freeze: false, changes: [] };

/**
 * What goes of `present`. What a document has and cannot be read of it is in it all the same. A service whose release runs stays:
 * traffic is not what its record says. Gateways stay: whoever may serve must be heard, left or forgotten.
 */
export function pruned(
  { records, skipped }: Pick<ReadCopy, 'records' | 'skipped'>,
  present: PresentRecords & { readonly histories: Iterable<string> },
  membership: Membership,
  wall: number,
): Pruned {
  const named = new Set([
    ...records.intents.keys(),
    ...records.histories.keys(),
    ...records.releases.keys(),
    ...skipped.map(({ record }) => record.split('/')[1] ?? ''),
  ]);
  const there = new Set([...present.intents.keys(), ...present.histories]);
  const surplus = [...there].filter((service) => !named.has(service)).sort(byCodeUnit);
  const services = new Set(surplus.filter((service) => !present.running.has(service)));
  const isFreezeNamed =
    records.freeze !== null || skipped.some(({ record }) => record.startsWith('freezes/'));
  const frozen = present.freeze?.freeze ?? null;
  const freeze = frozen !== null && !isFreezeNamed;
  const changes = surplus.flatMap((service): readonly PlannedChange[] => {
    if (!services.has(service))
      return [line(service, 'record', 'not in the document: its release runs', 'left as it is')];
    const before = present.intents.get(service) ?? NO_INTENT;
    const members = membership.get(service) ?? new Map<string, never>();
    const operations = before.ops.filter(({ result }) => result === undefined);
    return [
      line(service, 'record', 'not in the document', 'removed'),
      ...diffRecords(service, members, before, NO_INTENT, wall),
      ...operations.map(({ id }) => line(service, `operation ${id}`, 'running', 'none')),
    ];
  });
  return {
    services,
    freeze,
    changes: freeze ? [...changes, line('*', 'freeze', freezeText(frozen), 'none')] : changes,
  };
}

function line(service: string, field: string, from: string, to: string): PlannedChange {
  return { service, instance: null, field, from, to };
}
