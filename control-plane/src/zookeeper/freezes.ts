import { z } from 'zod';
import type { FreezeEdit, FreezeStore, GlobalFreeze, StoredFreeze } from '../model/freeze_ports.js';
import { ok, type Result } from '../model/result.js';
import { eventSchema, freezeSchema } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import { parseRecord } from './parse_record.js';
import type { Codec } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

const NAME = 'freeze';
const recordSchema = z.strictObject({
  v: z.literal(1),
  rev: z.int().min(0),
  freeze: freezeSchema.nullable(),
  events: z.array(eventSchema),
});

const CODEC: Codec<StoredFreeze, FreezeEdit, StoredFreeze> = {
  noun: 'freezes',
  folder: 'global',
  // Other records of all services may come to be beside it.
  reading: (names) =>
    names.length === 0 ? 'list' : names.length === 1 && names[0] === NAME ? 'data' : 'ignore',
  decode: (data, { etag }) => {
    const record = parseFreezeRecord(data);
    return record.ok ? ok({ record: record.value, etag }) : record;
  },
  show: showRecord<StoredFreeze>(() => null),
  change: ({ etag, record }, { at }) => {
    const data = Buffer.from(JSON.stringify(record), 'utf8');
    return ok({ name: NAME, nodes: [{ path: at(NAME), data, etag }] });
  },
};

/** The store at `<root>/global/freeze`; it creates `<root>/global` at the first contact. */
export function createFreezeStore(link: ZooKeeperLink, place: StorePlace): FreezeStore {
  return createTruthStore(link, place, CODEC);
}

/** Reads the bytes of the freeze of everything; the error names the first member that is wrong. */
export function parseFreezeRecord(data: Buffer): Result<GlobalFreeze, string> {
  return parseRecord(recordSchema, data);
}
