import { expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import { encodeIntentRecord, parseIntentRecord } from './intent_record.js';

const AT = '2026-11-21T00:00:00Z';
const FULL: IntentRecord = {
  v: 1,
  rev: 7,
  spec: {
    routes: [{ host: '*', path: '/' }],
    balancer: { algorithm: 'consistent_hash', hash_on: { source: 'path' }, sticky: { cookie: 'shop_at' } },
    timeouts: { connect_ms: 500, total_ms: 0 },
    retry: { on: 'server_error', non_idempotent: true },
    health: { max_fails: 3, fail_statuses: [500], check: { statuses: [[200, 204]] } },
    upstream: { scheme: 'grpcs', tls: 'inside' },
    min_available: 2,
  },
  instances: {
    '[fd00::7]:8080': {
      state: 'isolated',
      weight: 0,
      backup: true,
      keep_sticky_until: AT,
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
  [
    'another schema',
    { ...FULL, v: 2 },
    'schema 2 is not known to this controller: written by a newer release',
  ],
  [
    'an unknown member',
    { ...FULL, colour: 'red' },
    'colour: is not known to this release: written by a newer release',
  ],
  [
    'an unknown member of an instance',
    { ...FULL, instances: { a: { by: '', reason: '', at: AT, burst: 3 } } },
    'instances.a.burst: is not known to this release: written by a newer release',
  ],
  ['a missing member', { ...FULL, events: undefined }, 'events'],
  [
    'a bad state',
    { ...FULL, instances: { a: { state: 'gone', by: '', reason: '', at: AT } } },
    'instances.a.state',
  ],
  ['a bad instance id', { ...FULL, instances: { 'a b': { by: '', reason: '', at: AT } } }, 'instances'],
  ['a bad time', { ...FULL, events: [{ ...FULL.events[0], at: 'yesterday' }] }, 'events.0.at'],
  [
    'an algorithm',
    { ...FULL, spec: { balancer: { algorithm: 'best' } } },
    'spec.balancer.algorithm: must be one of weighted_round_robin',
  ],
  [
    'an unknown member of a check',
    { ...FULL, spec: { health: { check: { rises: 2 } } } },
    'spec.health.check.rises: is not known; known: type, path',
  ],
  [
    'a cookie that is no token',
    { ...FULL, spec: { balancer: { sticky: { cookie: 'a b' } } } },
    'spec.balancer.sticky.cookie: must be a token',
  ],
  [
    'statuses the wrong way round',
    { ...FULL, spec: { health: { check: { statuses: [[299, 200]] } } } },
    'spec.health.check.statuses: has an item 1 that must be [from, to]',
  ],
  ['a section that is a list', { ...FULL, spec: { retry: [] } }, 'spec.retry: must be an object'],
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

test('what a newer release says of an event is kept, and goes back with it', () => {
  const record = { ...FULL, events: [{ ...FULL.events[0], token: 'ci' }] };
  const read = parseIntentRecord(Buffer.from(JSON.stringify(record)));
  expect(read).toEqual({ ok: true, value: record });
  expect(read.ok && JSON.parse(encodeIntentRecord(read.value).toString())).toEqual(record);
});
