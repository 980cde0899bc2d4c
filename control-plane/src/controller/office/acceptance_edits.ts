import type { ConsumerRecord } from '../../model/api_consumer.js';
import type { StoredConsumer } from '../../model/api_consumer_ports.js';
import type { GlobalFreeze } from '../../model/freeze_ports.js';
import type { RosterEntry } from '../../model/gateway.js';
import type { IntentRecord, ServiceEvent, StoredIntent } from '../../model/intent.js';
import type { IntentEdit, StoredHistory } from '../../model/ports.js';
import type { RegistryView } from '../../model/registration.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { TokenRecord } from '../../model/token.js';
import type { StoredToken } from '../../model/token_ports.js';
import { missingHistories } from '../../plan/acceptance.js';

/** What a person accepted, and what was known at that moment. */
export interface Accepted {
  readonly keep: boolean;
  readonly by: string;
  readonly reason: string;
  readonly known: ReadonlyMap<string, IntentRecord>;
  readonly roster: ReadonlyMap<string, RosterEntry>;
  readonly history: ReadonlyMap<string, readonly ServiceEvent[]>;
  readonly releases: readonly ReleaseRecord[];
  readonly freeze: GlobalFreeze | null;
  /** Releases that have ended, of a copy. */
  readonly ended?: readonly ReleaseRecord[];
  /** Those that are to be valid; null: none were read before. */
  readonly tokens: ReadonlyMap<string, TokenRecord> | null;
  readonly consumers: ReadonlyMap<string, ConsumerRecord> | null;
  /** The record of the acceptance has a number greater than this. */
  readonly goOnAfter: number;
}

/** What is in ZooKeeper now, read past everything that is shown. */
export interface Present {
  readonly view: RegistryView;
  readonly intents: ReadonlyMap<string, StoredIntent>;
  readonly roster: ReadonlyMap<string, RosterEntry>;
  readonly histories: ReadonlyMap<string, StoredHistory>;
  /** Services whose release runs. */
  readonly releases: ReadonlySet<string>;
  /** True if there is a freeze record. */
  readonly freeze: boolean;
  readonly tokens: ReadonlyMap<string, StoredToken>;
  readonly consumers: ReadonlyMap<string, StoredConsumer>;
}

/** Records written in one transaction, which takes 1 MB; one that has its history with it goes alone. */
const BATCH = 20;

/** The records to write, with the histories that are to be kept. */
export function editsOf(
  records: ReadonlyMap<string, IntentRecord>,
  { keep, history }: Pick<Accepted, 'keep' | 'history'>,
  present: Present,
): readonly IntentEdit[] {
  const missing = keep ? missingHistories(history, present.histories) : new Map<string, never>();
  return [...records].map(([service, record]) => {
    const edit = { service, etag: present.intents.get(service)?.etag ?? null, record };
    const events = missing.get(service);
    if (events === undefined) return edit;
    return { ...edit, history: { etag: present.histories.get(service)?.etag ?? null, events } };
  });
}

/** What is written together, one batch after the other. */
export function batchesOf(edits: readonly IntentEdit[]): readonly (readonly IntentEdit[])[] {
  const small = edits.filter(({ history }) => history === undefined);
  const batches: (readonly IntentEdit[])[] = edits.filter(({ history }) => history).map((one) => [one]);
  for (let start = 0; start < small.length; start += BATCH) batches.push(small.slice(start, start + BATCH));
  return batches;
}
