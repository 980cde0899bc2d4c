import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ApiKeyRecord, ConsumerRecord } from '../model/api_consumer.js';
import type { StoredConsumer } from '../model/api_consumer_ports.js';
import type { EncodedDocument } from '../model/set.js';
import { KeyDocuments } from './key_documents.js';
import { buildConsumer } from '../testing/memory_consumers.js';
import { compileKeys, documentsOf, publishedHolders } from './compile_keys.js';
import { encode } from './encode.js';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function buildKey(id: string, text: string, expires: string | null = null): ApiKeyRecord {
  return { id, hash: hashOf(text), by: 'ann', reason: '', at: '2026-05-01T12:00:00Z', expires };
}

const acme = buildConsumer({
  name: 'acme',
  keys: [
    buildKey('0123456789ab', 'example-key-of-acme-1'),
    buildKey('112233445566', 'example-key-of-acme-1000'),
  ],
});
const globex = buildConsumer({
  ...{ name: 'globex', services: ['shop-*', 'orders'], networks: ['fd00::/8', '10.0.0.0/8'] },
  keys: [buildKey('ba9876543210', 'example-key-of-globex-259', '2026-09-21T14:13:20.000Z')],
});

describe('the document of keys', () => {
  test('has the keys that begin like its name, and whose they are', () => {
    const example = readFileSync(
      new URL('../../../docs/contract/examples/keys.json', import.meta.url),
      'utf8',
    );
    const document = compileKeys('@keys:37', [globex, acme]);
    expect(document && encode(document).payload).toBe(example);
  });

  test('is none without a key', () => {
    expect(compileKeys('@keys:00', [])).toBeNull();
    expect(compileKeys('@keys:37', [{ ...acme, keys: [] }])).toBeNull();
  });

  test('shows what is in force of a record that cannot be read', () => {
    const document = compileKeys('@keys:37', [globex, acme]);
    const published = document ? [encode(document)] : [];
    const back = publishedHolders(new Set(['globex']), published);
    expect([...back.keys()]).toEqual(['globex']);
    expect(compileKeys('@keys:37', [...back.values(), acme])).toEqual(document);
    expect(publishedHolders(new Set(), published).size).toBe(0);
  });
});

const key = fc.record({
  id: fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: 12, maxLength: 12 }),
  hash: fc.integer({ min: 0, max: 400 }).map((n) => hashOf(String(n))),
  expires: fc.option(fc.constant('2027-01-01T00:00:00Z')),
});
const consumers = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    services: fc.constantFrom(['*'], ['shop']),
    keys: fc.array(key, { maxLength: 4 }),
  }),
  { selector: ({ name }) => name },
);
type Drawn = readonly {
  readonly name: string;
  readonly services: readonly string[];
  readonly keys: object[];
}[];

let etag = 0;
const stored = (those: Drawn): ReadonlyMap<string, StoredConsumer> =>
  new Map(
    those.map(({ keys, ...one }) => {
      const more = { by: '', reason: '', at: '2026-05-01T12:00:00Z' };
      const record = buildConsumer({ ...one, keys: keys.map((a) => ({ ...more, ...a })) as ApiKeyRecord[] });
      return [one.name, { record, etag: String((etag += 1)) }];
    }),
  );
const payloads = (documents: ReadonlyMap<string, EncodedDocument>): object =>
  Object.fromEntries([...documents].map(([name, { payload }]) => [name, payload]));

test('property: after any history the documents are those of the present consumers', () => {
  fc.assert(
    fc.property(fc.array(consumers, { minLength: 1, maxLength: 6 }), (history) => {
      const documents = new KeyDocuments();
      let made: ReadonlyMap<string, EncodedDocument> = new Map();
      let last: ReadonlyMap<string, StoredConsumer> = new Map();
      for (const those of history) {
        // What did not change is the same object, as a store shows it.
        const next = new Map(
          [...stored(those)].map(([name, one]) => {
            const before = last.get(name);
            return [
              name,
              JSON.stringify(before?.record) === JSON.stringify(one.record) && before ? before : one,
            ];
          }),
        );
        made = documents.compile(next, new Set(), () => []);
        last = next;
      }
      const records = [...last.values()].map(({ record }): ConsumerRecord => record);
      const names = new Set(records.flatMap((record) => [...documentsOf(record)]));
      const expected = new Map(
        [...names].flatMap((name) => {
          const holders = records.filter((record) => documentsOf(record).has(name));
          const document = compileKeys(name, holders);
          return document ? [[name, encode(document)] as const] : [];
        }),
      );
      expect(payloads(made)).toEqual(payloads(expected));
      expect(documents.compile(last, new Set(), () => [])).toBe(made);
    }),
  );
});

test('a change of one consumer makes only its documents anew', () => {
  const documents = new KeyDocuments();
  const many = new Map(
    Array.from({ length: 500 }, (_, n): [string, StoredConsumer] => {
      const name = `c${String(n)}`;
      return [name, { record: buildConsumer({ name, keys: [buildKey('0123456789ab', name)] }), etag: '1' }];
    }),
  );
  const before = documents.compile(many, new Set(), () => []);
  const record = buildConsumer({ name: 'c7', services: ['shop'], keys: [buildKey('0123456789ab', 'c7')] });
  const after = documents.compile(new Map([...many, ['c7', { record, etag: '2' }]]), new Set(), () => []);
  const other = [...after].filter(([name, document]) => before.get(name) !== document);
  expect(other.map(([name]) => name)).toEqual([...documentsOf(record)]);
});

test('the keys of a consumer that cannot be read stay as they were published', () => {
  const documents = new KeyDocuments();
  const stored = new Map([
    ['acme', { record: acme, etag: '1' }],
    ['globex', { record: globex, etag: '1' }],
  ]);
  const before = documents.compile(stored, new Set(), () => []);
  const readable = new Map([['acme', { record: acme, etag: '1' }]]);
  const published = (): Iterable<EncodedDocument> => before.values();
  expect(payloads(documents.compile(readable, new Set(['globex']), published))).toEqual(payloads(before));
  // Once it was deleted it has no keys.
  const gone = documents.compile(readable, new Set(), published);
  expect(Object.values(payloads(gone)).join('')).not.toContain('globex');
});
