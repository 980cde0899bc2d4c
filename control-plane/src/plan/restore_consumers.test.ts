import { expect, test } from 'vitest';
import type { ApiKeyRecord, ConsumerRecord } from '../model/api_consumer.js';
import type { AuditRecord } from '../model/audit.js';
import { buildConsumer } from '../testing/memory_consumers.js';
import { restoredConsumers, type ConsumerFacts } from './restore_consumers.js';
import { revocationsIn } from './restore_audit.js';

const made = '2026-05-01T12:00:00.000Z';
const [before, after] = ['2026-05-01T11:00:00.000Z', '2026-05-01T13:00:00.000Z'];
const key = (id: string, at = made): ApiKeyRecord => ({
  ...{ id: id.repeat(12), hash: id.repeat(64), by: 'ann', reason: '', at, expires: null },
});
const acme = buildConsumer({ name: 'acme', at: made, keys: [key('a'), key('b')] });
const stored = (...records: readonly ConsumerRecord[]) =>
  new Map(records.map((record) => [record.name, { record, etag: `e-${record.name}` }]));
const named = (...records: readonly ConsumerRecord[]) => new Map(records.map((one) => [one.name, one]));
const FACTS: ConsumerFacts = {
  ...{ copied: named(acme), found: new Map(), before: null, isLost: false },
  ...{ revoked: new Map(), prune: false },
};
const gone = (field: string, at: string) => new Map([[field, { at, by: 'bob' }]]);
const keysOf = (facts: Partial<ConsumerFacts>): string =>
  (restoredConsumers({ ...FACTS, ...facts }).valid.get('acme')?.keys ?? []).map(({ id }) => id[0]).join('');

test('a consumer comes back with its keys, and nothing that proves them is shown', () => {
  const { edits, changes } = restoredConsumers(FACTS);
  expect(edits).toEqual([{ name: 'acme', etag: null, record: acme }]);
  expect(changes.map(({ field, from, to }) => `${field}: ${from} → ${to}`)).toEqual([
    'consumer acme: none → of *',
    `consumer acme key ${'a'.repeat(12)}: none → valid`,
    `consumer acme key ${'b'.repeat(12)}: none → valid`,
  ]);
  expect(JSON.stringify(changes)).not.toContain('a'.repeat(64));
  expect(restoredConsumers({ ...FACTS, found: stored(acme) })).toMatchObject({ edits: [], changes: [] });
});

test.each([
  ['a key revoked since', gone(`consumer acme key ${'a'.repeat(12)}`, after), 'b'],
  [
    'a key revoked before it was made, as of one restored by hand',
    gone(`consumer acme key ${'a'.repeat(12)}`, before),
    'ab',
  ],
  ['a consumer deleted since', gone('consumer acme', after), ''],
  ['a consumer deleted before, and made again', gone('consumer acme', before), 'ab'],
])('%s is not valid again', (_, revoked, expected) => {
  expect(keysOf({ revoked })).toBe(expected);
  const { changes } = restoredConsumers({ ...FACTS, revoked });
  const left = changes.filter(({ to }) => to === 'left out');
  expect(left).toHaveLength(2 - expected.length);
});

test('what ZooKeeper has beside the copy stays, or goes with prune; after a loss only what is not revoked', () => {
  const found = stored({ ...acme, keys: [key('b'), key('c')] });
  expect(keysOf({ found })).toBe('abc');
  expect(keysOf({ found, prune: true })).toBe('ab');
  expect(keysOf({ found, copied: named() })).toBe('bc');
  expect(keysOf({ found, copied: named(), prune: true })).toBe('');
  expect(keysOf({ found, copied: null, prune: true })).toBe('bc');
  const revoked = gone(`consumer acme key ${'c'.repeat(12)}`, after);
  expect(keysOf({ found, copied: named(), revoked })).toBe('bc');
  expect(keysOf({ found, copied: named(), revoked, isLost: true })).toBe('b');
});

test('what was valid before a loss that was seen is valid after it, whatever a copy says', () => {
  const seen = stored({ ...acme, keys: [key('c')] });
  expect(keysOf({ before: seen, isLost: true })).toBe('c');
  expect(keysOf({ before: new Map(), found: stored(acme), isLost: true })).toBe('');
});

test('the audit says what was taken away, of tokens and of keys', () => {
  const record = (at: string, ...fields: readonly string[]): AuditRecord =>
    ({ at, by: 'bob', changes: fields.map((field) => ({ field, to: 'none' })) }) as unknown as AuditRecord;
  const records = [record(before, 'token ci', 'consumer acme'), record(after, 'consumer acme', 'weight')];
  expect([...revocationsIn(records)]).toEqual([
    ['token ci', { at: before, by: 'bob' }],
    ['consumer acme', { at: after, by: 'bob' }],
  ]);
});
