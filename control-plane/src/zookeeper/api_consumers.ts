import { z } from 'zod';
import { MOST_KEYS_OF_ONE, MOST_TERMS, type ConsumerRecord } from '../model/api_consumer.js';
import type { ApiConsumerStore, ConsumerEdit, StoredConsumer } from '../model/api_consumer_ports.js';
import { parseGlob } from '../model/glob.js';
import { checkName } from '../model/names.js';
import { isNetwork } from '../model/network.js';
import type { Result } from '../model/result.js';
import type { ZooKeeperLink } from './link.js';
import { hex, moment, namedCodec, parseNamed, text } from './named_record.js';
import type { Codec } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

/** Strict: a member that is not known here could be a limit that another release has set. */
const schema = z.strictObject({
  v: z.literal(1),
  name: z.string().refine((value) => checkName('consumer', value).ok, { error: 'not a name of a consumer' }),
  services: z
    .array(z.string().refine((value) => parseGlob(value).ok, { error: 'not a pattern' }))
    .min(1)
    .max(MOST_TERMS),
  networks: z.array(z.string().refine(isNetwork, { error: 'not a network' })).max(MOST_TERMS),
  keys: z
    .array(
      z.strictObject({
        ...{ id: hex(12), hash: hex(64), by: text, reason: text, at: moment },
        expires: moment.nullable(),
      }),
    )
    .max(MOST_KEYS_OF_ONE),
  by: text,
  reason: text,
  at: moment,
});

const CODEC: Codec<StoredConsumer, ConsumerEdit, StoredConsumer> = {
  noun: 'consumers',
  folder: 'consumers',
  ...namedCodec(parseConsumerRecord),
  // The last good one stays in force: a damaged record must not lock out who has a key.
  show: showRecord((_found, last) => last ?? null),
};

/** The store at `<root>/consumers`, which it creates at the first contact. */
export function createApiConsumerStore(link: ZooKeeperLink, place: StorePlace): ApiConsumerStore {
  return createTruthStore(link, place, CODEC);
}

/** Reads the bytes of the consumer of that name; the error names the first member that is wrong. */
export function parseConsumerRecord(name: string, data: Buffer): Result<ConsumerRecord, string> {
  return parseNamed(schema, name, data);
}
