import { expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import type { TruthRecords } from '../model/truth_copy.js';
import { buildRelease } from '../testing/releases.js';
import { buildToken } from '../testing/tokens.js';
import { parseReleaseRecord, encodeReleaseRecord } from '../zookeeper/release_record.js';
import { changesOfRestore, digestOf, restorable } from './restore.js';

const wall = Date.parse('2026-05-01T12:00:00Z');
const decided = { by: 'ann', reason: 'leak', at: '2026-05-01T11:00:00Z' };
const isolated = { ...decided, state: 'isolated' } as const;
const NONE: TruthRecords = {
  ...{ intents: new Map(), histories: new Map(), roster: new Map(), releases: new Map() },
  ...{ ended: [], freeze: null, tokens: null, consumers: null },
};

test('what has expired is left out and shown, what lasts is as it was, and damage is named', () => {
  const over = { ...isolated, expires: '2026-05-01T11:59:59Z' };
  const later = { ...isolated, expires: '2026-05-01T12:00:01Z' };
  const shop = { ...NO_INTENT, instances: { a: over, b: later, c: isolated } };
  const copy = { records: { ...NONE, intents: new Map([['shop', shop]]) } };
  const skipped = [{ record: 'intents/cart', reason: 'spec: wrong' }];
  const { records, left } = restorable({ ...copy, skipped }, { by: 'ann', wall });
  expect(records.intents.get('shop')).toEqual({ ...shop, instances: { b: later, c: isolated } });
  expect(left).toMatchObject([
    { field: 'record intents/cart', from: 'damaged: spec: wrong', to: 'left out' },
    { service: 'shop', instance: 'a', to: 'left out' },
  ]);
});

test('a release that ran comes back paused, as a record that can be read; any other one as it was', () => {
  const running = buildRelease({ service: 'shop' });
  for (const state of ['progressing', 'pending'] as const) {
    const record = { ...running, state, phase: state === 'progressing' ? running.phase : null };
    const copy = { records: { ...NONE, releases: new Map([['shop', record]]) }, skipped: [] };
    const back = restorable(copy, { by: 'ann', wall }).records.releases.get('shop')!;
    if (state === 'pending') expect(back).toBe(record);
    else expect(back).toMatchObject({ state: 'paused', phase: null, paused: { state, phase: record.phase } });
    expect(parseReleaseRecord(encodeReleaseRecord(back))).toEqual({ ok: true, value: back });
  }
});

test('the digest is of what a person saw, and not of what the traffic does meanwhile', () => {
  const copy = { ...NONE, intents: new Map([['shop', { ...NO_INTENT, instances: { a: isolated } }]]) };
  const present = { intents: new Map(), roster: new Map(), freeze: null, running: new Set<string>() };
  const changes = changesOfRestore(copy, present, new Map(), wall);
  expect(changes).not.toEqual([]);
  const traffic = { service: 'shop', instance: 'b', field: 'traffic', from: '1 %', to: '2 %' };
  expect(digestOf([...changes, traffic])).toBe(digestOf(changes));
  expect(digestOf(changes.slice(1))).not.toBe(digestOf(changes));
  expect(changesOfRestore(copy, { ...present, intents: copy.intents }, new Map(), wall)).toEqual([]);
});

test('the digest is of what proves a token, too, though that is never shown', () => {
  const edit = (hash: string) => {
    const record = buildToken({ name: 'ci', verifier: { salt: '0'.repeat(32), hash: hash.repeat(64) } });
    return [{ name: 'ci', etag: null, record }];
  };
  expect(digestOf([], edit('a'))).toBe(digestOf([], edit('a')));
  expect(digestOf([], edit('a'))).not.toBe(digestOf([], edit('b')));
});
