import type { ApiKeyRecord, ConsumerRecord } from '../model/api_consumer.js';
import type { ConsumerEdit, StoredConsumer } from '../model/api_consumer_ports.js';
import type { PlannedChange } from '../model/mutation.js';
import { changesOfConsumer } from './diff_consumer.js';
import { byCodeUnit } from './encode.js';
import type { Revocation } from './restore_audit.js';

/*
 * Which consumers there are, and which keys are valid, after a copy was brought back. A key that is known to be revoked never is valid
 * again, however old the copy.
 */

export interface ConsumerFacts {
  /** Null: the copy has no consumers. */
  readonly copied: ReadonlyMap<string, ConsumerRecord> | null;
  /** What ZooKeeper contains. */
  readonly found: ReadonlyMap<string, StoredConsumer>;
  /** What was valid before a loss that this controller has seen: exactly that stays valid. Null: it has seen none. */
  readonly before: ReadonlyMap<string, StoredConsumer> | null;
  /** ZooKeeper has lost data: what it contains may be older than a revocation. */
  readonly isLost: boolean;
  /** By the field of the audit's line: `consumer acme`, `consumer acme key 0123456789ab`. */
  readonly revoked: ReadonlyMap<string, Revocation>;
  /** What the copy has not is removed. */
  readonly prune: boolean;
}

export interface RestoredConsumers {
  /** Those that there are from then on. */
  readonly valid: ReadonlyMap<string, ConsumerRecord>;
  readonly edits: readonly ConsumerEdit[];
  readonly changes: readonly PlannedChange[];
}

export function restoredConsumers(facts: ConsumerFacts): RestoredConsumers {
  const { copied, found, before } = facts;
  const names = new Set([...(copied?.keys() ?? []), ...found.keys(), ...(before?.keys() ?? [])]);
  const valid = new Map<string, ConsumerRecord>();
  const edits: ConsumerEdit[] = [];
  const changes: PlannedChange[] = [];
  for (const name of [...names].sort(byCodeUnit)) {
    const there = found.get(name);
    const copy = copied?.get(name);
    const record = decide(name, there?.record, copy, facts);
    if (record !== undefined) valid.set(name, record);
    changes.push(...leftOut(name, copy, record));
    if (JSON.stringify(record) === JSON.stringify(there?.record)) continue;
    edits.push({ name, etag: there?.etag ?? null, record: record ?? null });
    changes.push(...changesOfConsumer(name, there?.record ?? null, record ?? null));
  }
  return { valid, edits, changes };
}

function decide(
  name: string,
  present: ConsumerRecord | undefined,
  copy: ConsumerRecord | undefined,
  { copied, before, isLost, revoked, prune }: ConsumerFacts,
): ConsumerRecord | undefined {
  if (before !== null) return before.get(name)?.record;
  // Without a loss ZooKeeper is right about what is valid.
  const kept = isLost ? stillValid(name, present, revoked) : present;
  const back = stillValid(name, copy, revoked);
  if (copy === undefined) return prune && copied !== null ? undefined : kept;
  if (back === undefined || kept === undefined) return back ?? kept;
  const ids = new Set(back.keys.map(({ id }) => id));
  const beside = prune ? [] : kept.keys.filter(({ id }) => !ids.has(id));
  return { ...back, keys: [...back.keys, ...beside] };
}

/** The record without the keys that were revoked after they were made; nothing if the consumer was deleted since. */
function stillValid(
  name: string,
  record: ConsumerRecord | undefined,
  revoked: ReadonlyMap<string, Revocation>,
): ConsumerRecord | undefined {
  if (record === undefined) return undefined;
  const isOver = (field: string, at: string): boolean => {
    const revocation = revoked.get(field);
    return revocation !== undefined && Date.parse(at) <= Date.parse(revocation.at);
  };
  const whole = `consumer ${name}`;
  if (isOver(whole, record.at)) return undefined;
  const keys = record.keys.filter(({ id, at }) => !isOver(`${whole} key ${id}`, at) && !isOver(whole, at));
  return keys.length === record.keys.length ? record : { ...record, keys };
}

/** A line for each key of the copy that does not come back. */
function leftOut(
  name: string,
  copy: ConsumerRecord | undefined,
  record: ConsumerRecord | undefined,
): readonly PlannedChange[] {
  const ids = new Set(record?.keys.map(({ id }: ApiKeyRecord) => id));
  return (copy?.keys ?? [])
    .filter(({ id }) => !ids.has(id))
    .map(({ id }) => ({
      ...{ service: '', instance: null, field: `consumer ${name} key ${id}` },
      ...{ from: 'in the copy, and not valid any more', to: 'left out' },
    }));
}
