import { own } from '../model/dictionary.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { ConsumerEdit } from '../model/api_consumer_ports.js';
import type { PlannedChange } from '../model/mutation.js';
import type { ReleaseRecord } from '../model/release.js';
import type { TokenEdit } from '../model/token_ports.js';
import type { ReadCopy, TruthRecords } from '../model/truth_copy.js';
import { diffRecords } from './diff.js';
import { byCodeUnit, sha1 } from './encode.js';
import { freezeText } from './freeze.js';
import { unexpired } from './layers.js';
import type { Membership } from './membership.js';
import { note } from './release/record.js';

/*
 * What it means to bring a copy back. Records that are in ZooKeeper and not in the copy stay. What has expired since is left out, a
 * release that ran is paused: the world may have moved while nobody looked.
 */

/** What ZooKeeper contains, as far as a copy may change it. */
export type PresentRecords = Pick<TruthRecords, 'intents' | 'roster' | 'freeze'> & {
  /** Services whose release runs. */
  readonly running: ReadonlySet<string>;
};

/** What of a copy is brought back at `wall`, and a line for each thing that is not. */
export function restorable(
  { records, skipped }: Pick<ReadCopy, 'records' | 'skipped'>,
  { by, wall }: { readonly by: string; readonly wall: number },
): { readonly records: TruthRecords; readonly left: readonly PlannedChange[] } {
  const left: PlannedChange[] = skipped.map(({ record, reason }) => ({
    ...{ service: '', instance: null, field: `record ${record}`, from: `damaged: ${reason}`, to: 'left out' },
  }));
  const intents = new Map<string, IntentRecord>();
  for (const [service, record] of records.intents) {
    const instances = Object.entries(record.instances).flatMap(([id, intent]) => {
      const lasts = unexpired(intent, wall);
      if (lasts !== intent)
        left.push({ service, instance: id, field: 'intent', from: 'expired since', to: 'left out' });
      return lasts === undefined ? [] : [[id, lasts] as const];
    });
    const changed = instances.some(([id, intent]) => own(record.instances, id) !== intent);
    const same = !changed && instances.length === Object.keys(record.instances).length;
    intents.set(service, same ? record : { ...record, instances: Object.fromEntries(instances) });
  }
  const releases = new Map(
    [...records.releases].map(([service, record]) => [service, pausedBy(record, by, wall)]),
  );
  return { records: { ...records, intents, releases }, left };
}

function pausedBy(record: ReleaseRecord, by: string, wall: number): ReleaseRecord {
  const { state, phase } = record;
  if (state !== 'preparing' && state !== 'progressing') return record;
  const message = 'paused: it was brought back from a copy; look at it, then resume it';
  return note(record, { event: 'paused', by, message }, wall, {
    ...{ state: 'paused', phase: null, since: new Date(wall).toISOString() },
    paused: { cause: 'person', by, message, state, phase },
  });
}

/** What bringing `copy` back changes against what is `present`, line by line. */
export function changesOfRestore(
  copy: TruthRecords,
  present: PresentRecords,
  membership: Membership,
  wall: number,
): readonly PlannedChange[] {
  const services = [...copy.intents.keys()].sort(byCodeUnit);
  return [
    ...services.flatMap((service) => {
      const [before, after] = [
        present.intents.get(service) ?? NO_INTENT,
        copy.intents.get(service) ?? NO_INTENT,
      ];
      const known = new Set(before.ops.map(({ id }) => id));
      const operations = after.ops
        .filter(({ id, result }) => result === undefined && !known.has(id))
        .map(({ id }) => ({
          service,
          instance: null,
          field: `operation ${id}`,
          from: 'none',
          to: 'running',
        }));
      return [
        ...diffRecords(service, membership.get(service) ?? new Map<string, never>(), before, after, wall),
        ...operations,
      ];
    }),
    ...[...copy.releases.values()]
      .filter(({ service }) => !present.running.has(service))
      .map(({ service, id, state }) => line(service, `release ${id}`, 'none', state)),
    ...(copy.freeze !== null && freezeText(copy.freeze.freeze) !== freezeText(present.freeze?.freeze)
      ? [line('*', 'freeze', freezeText(present.freeze?.freeze), freezeText(copy.freeze.freeze))]
      : []),
    ...[...copy.roster.values()]
      .filter(({ id, gone }) => gone === undefined && !present.roster.has(id))
      .map(({ id }) => line('', `gateway ${id}`, 'none', 'in the roster')),
  ];
}

function line(service: string, field: string, from: string, to: string): PlannedChange {
  return { service, instance: null, field, from, to };
}

/**
 * A digest of what was shown, and of the tokens and consumers behind it: who could get in by them is not shown. What instances and traffic do
 * meanwhile is no part of it.
 */
export function digestOf(
  changes: readonly PlannedChange[],
  proofs: readonly (TokenEdit | ConsumerEdit)[] = [],
): string {
  const shown = changes.filter(({ field }) => !['traffic', 'down'].includes(field));
  return sha1(JSON.stringify([shown, ...proofs.map(({ record }) => record)]));
}
