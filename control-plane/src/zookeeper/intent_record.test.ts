import { expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import { encodeIntentRecord, parseIntentRecord } from './intent_record.js';

const AT = '2026-11-21T00:00:00Z';
const FULL: IntentRecord = {
  v: 1,
  rev: 7,
  spec: {
    routes: [{ host: '*', path: '/' }],
    balancer: { algorithm: 'weighted_round_robin' },
    timeouts: { connect_ms: 500 },
    retry: { tries: 2 },
    health: { max_fails: 3 },
    min_available: 2,
  },
  instances: {
    '[fd00::7]:8080': {
      state: 'isolated',
      weight: 0,
      by: 'ann',
      reason: 'leaks',
      at: AT,
      expires: AT,
      op: 'op-1',
    },
  },
  versions: { v1: 80, v2: 20 },
  ops: [
    {
      id: 'op-1',
      kind: 'drain',
      instances: ['a'],
      by: 'ann',
      reason: '',
      at: AT,
      deadline: AT,
      on_timeout: 'cut',
      idempotency_key: 'k',
      request: 'f00',
      result: 'cut',
      ended_at: AT,
      left: { a: 3 },
      waited_for: ['gateway g1'],
    },
  ],
  events: [{ at: AT, event: 'drained', by: 'controller', instance: 'a', message: '' }],
};

test.each([NO_INTENT, FULL])('what is encoded is read back', (record) => {
  expect(parseIntentRecord(encodeIntentRecord(record))).toEqual({ ok: true, value: record });
});

test.each<[string, unknown, string]>([
  ['another schema', { ...FULL, v: 2 }, 'v'],
  ['an unknown member', { ...FULL, colour: 'red' }, 'colour'],
  ['a missing member', { ...FULL, events: undefined }, 'events'],
  [
    'a bad state',
    { ...FULL, instances: { a: { state: 'gone', by: '', reason: '', at: AT } } },
    'instances.a.state',
  ],
  ['a bad instance id', { ...FULL, instances: { 'a b': { by: '', reason: '', at: AT } } }, 'instances'],
  ['a bad time', { ...FULL, events: [{ ...FULL.events[0], at: 'yesterday' }] }, 'events.0.at'],
  [
    'a weight',
    { ...FULL, instances: { a: { weight: -1, by: '', reason: '', at: AT } } },
    'instances.a.weight',
  ],
])('%s is damage, named', (_, record, field) => {
  const parsed = parseIntentRecord(Buffer.from(JSON.stringify(record)));
  expect(parsed.ok ? '' : parsed.error).toContain(field);
});

test.each(['', 'no json', '[]', 'null'])('bytes "%s" are damage', (text) => {
  expect(parseIntentRecord(Buffer.from(text)).ok).toBe(false);
});
