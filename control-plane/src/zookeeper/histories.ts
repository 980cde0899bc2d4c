import { z } from 'zod';
import type { ServiceEvent } from '../model/intent.js';
import type { HistoryStore, IntentEdit, StoredHistory } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { eventSchema } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import { recordFault } from './record_fault.js';
import type { Codec, RecordChange } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

/** The store at `<root>/history`, which it creates at the first contact. */
export function createHistoryStore(link: ZooKeeperLink, place: StorePlace): HistoryStore {
  return createTruthStore(link, place, CODEC);
}

/**
 * A history's bytes stay below this, whatever the events have: a znode takes 1 MB, with all else in its transaction. 200 events
 * of 1,000 characters are less in every script that takes 3 bytes a character.
 */
const MOST_BYTES = 700_000;

const schema = z.object({ v: z.literal(1), events: z.array(eventSchema) });

/** The bytes of a history; the oldest events go where it would be too large. */
export function encodeHistory(events: readonly ServiceEvent[]): Buffer {
  const bytes = Buffer.from(JSON.stringify({ v: 1, events }), 'utf8');
  return bytes.length <= MOST_BYTES ? bytes : encodeHistory(events.slice(Math.ceil(events.length / 10)));
}

const CODEC: Codec<StoredHistory, never, StoredHistory> = {
  noun: 'histories',
  folder: 'history',
  decode: (data, { etag }) => {
    const events = parseHistory(data);
    return events.ok ? ok({ events: events.value, etag }) : events;
  },
  show: showRecord<StoredHistory>(() => null),
  // One that cannot be read is begun again: what people did before is lost, and nothing that is in force.
  substitute: (_name, { etag }) => ({ events: [], etag }),
  change: () => err('a history is written with the intent of its service'),
};

/** What replaces the history of a service, as a part of a larger change. */
export function historyChange(
  root: string,
  service: string,
  { etag, events }: NonNullable<IntentEdit['history']>,
): RecordChange['nodes'][number] {
  return { path: `${root}/${CODEC.folder}/${service}`, data: events && encodeHistory(events), etag };
}

/** Reads the bytes of a history; the error names the first member that is wrong. */
export function parseHistory(data: Buffer): Result<readonly ServiceEvent[], string> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok((value as { readonly events: readonly ServiceEvent[] }).events);
  return err(recordFault(parsed.error));
}
