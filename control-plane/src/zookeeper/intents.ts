import type { StoredIntent } from '../model/intent.js';
import type { IntentEdit, IntentStore } from '../model/ports.js';
import { ok } from '../model/result.js';
import { historyChange } from './histories.js';
import { encodeIntentRecord, parseIntentRecord } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import type { Codec } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

const CODEC: Codec<StoredIntent, IntentEdit, StoredIntent> = {
  noun: 'intents',
  folder: 'intents',
  decode: (data, { name, etag }) => {
    const record = parseIntentRecord(data);
    return record.ok ? ok({ service: name, record: record.value, etag }) : record;
  },
  // The last good one stays in force.
  show: showRecord((_found, last) => last ?? null),
  change: ({ service, etag, record, history }, { root, at }) => {
    const own = { path: at(service), data: record && encodeIntentRecord(record), etag };
    return ok({ name: service, nodes: history ? [historyChange(root, service, history), own] : [own] });
  },
};

/** The store at `<root>/intents`, which it creates at the first contact. */
export function createIntentStore(link: ZooKeeperLink, place: StorePlace): IntentStore {
  return createTruthStore(link, place, CODEC);
}
