import { expect, it } from 'vitest';
import { CONTRACTS } from '../model/contract.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { MutationContext } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { parseDocument } from '../redis/documents.js';
import { encodeIntentRecord, parseIntentRecord } from '../zookeeper/intent_record.js';
import { compileService } from './compile.js';
import { decide } from './decide.js';
import type { DecisionState } from './decision.js';
import { describeIntents } from './describe_fleet.js';
import { diffRecords } from './diff.js';
import { encode, protectedBy, writtenIn } from './encode.js';
import { forgettableAt } from './forget.js';
import { expireIntents } from './operations.js';
import { restsUntil } from './record.js';
import { specFaults } from './spec.js';
import type { World } from './world.js';

const WALL = Date.parse('2026-05-01T12:00:00Z');
const CONTEXT: MutationContext = {
  ...{ origin: ORIGIN, by: 'ann', services: '*', reason: 'the database moves', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};
const registration = buildRegistration({ service: 'shop', id: 'a' });
const MEMBERS = new Map([['a', { registration, presence: 'present', since: 0, vanished_at: null } as const]]);

function ask(
  state: 'open' | 'closed' | 'auto',
  record: IntentRecord = NO_INTENT,
  more: Partial<MutationContext> = {},
) {
  const decisionState: DecisionState = {
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    membership: new Map([['shop', MEMBERS]]),
    ...{ witnesses: buildWitnesses(), wall: WALL, newId: 'op-1', drain_timeout_ms: 1 },
  };
  return decide({ kind: 'breaker', service: 'shop', state }, { ...CONTEXT, ...more }, decisionState);
}
function decided(...args: Parameters<typeof ask>): IntentRecord {
  const result = ask(...args);
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value.records.get('shop') ?? args[1] ?? NO_INTENT;
}
const setOf = (record: IntentRecord, wall = WALL) => compileService('shop', MEMBERS, record, wall);
const OPEN = decided('open', NO_INTENT, { expires_ms: 60_000 });

it('a word says who, why and until when, is listed, replaced by a later one, taken back, and expires', () => {
  expect(OPEN.breaker).toEqual({
    ...{ state: 'open', by: 'ann', reason: 'the database moves' },
    ...{ at: '2026-05-01T12:00:00.000Z', expires: '2026-05-01T12:01:00.000Z' },
  });
  expect(OPEN.events).toMatchObject([{ event: 'breaker_forced', by: 'ann', reason: 'the database moves' }]);
  expect(parseIntentRecord(encodeIntentRecord(OPEN))).toEqual({ ok: true, value: OPEN });
  const world = { intents: new Map([['shop', { record: OPEN }]]), frozen: null, wall: WALL };
  expect(describeIntents(world as unknown as World)).toMatchObject([
    { service: 'shop', kind: 'breaker', value: 'open', by: 'ann', until: '2026-05-01T12:01:00.000Z' },
  ]);
  expect(diffRecords('shop', MEMBERS, NO_INTENT, OPEN, WALL)).toMatchObject([
    { field: 'breaker', from: 'auto', to: expect.stringMatching(/^open by ann/) as string },
  ]);
  const closed = decided('closed', OPEN, { by: 'bob' });
  expect(closed.breaker).toMatchObject({ state: 'closed', by: 'bob' });
  expect(closed.breaker).not.toHaveProperty('expires');
  expect(closed.events.at(-1)?.message).toMatch(/replaces open by ann/);
  const freed = decided('auto', closed, { reason: '' });
  expect(freed).not.toHaveProperty('breaker');
  expect(freed.events.at(-1)).toMatchObject({ event: 'breaker_freed' });
  expect(decided('auto', freed)).toBe(freed);
  expect(restsUntil(OPEN)).toBe(WALL + 60_000);
  expect(forgettableAt(OPEN, 0)).toBe(Infinity);
  expect(expireIntents(OPEN, WALL + 59_999)).toBeNull();
  const over = expireIntents(OPEN, WALL + 60_000);
  expect(over).not.toHaveProperty('breaker');
  expect(over?.events.at(-1)).toMatchObject({
    event: 'expired',
    message: 'breaker forced open by ann expired',
  });
});

it('needs a reason to force, and a service that is there', () => {
  expect(ask('open', NO_INTENT, { reason: ' ' })).toMatchObject({ error: { field: 'reason' } });
  expect(ask('closed', NO_INTENT, { reason: '' })).toMatchObject({ error: { field: 'reason' } });
  const nowhere = decide({ kind: 'breaker', service: 'shpo', state: 'open' }, CONTEXT, {
    ...{ intents: new Map(), membership: new Map(), witnesses: buildWitnesses() },
    ...{ wall: WALL, newId: 'op-1', drain_timeout_ms: 1 },
  });
  expect(nowhere).toMatchObject({ error: { code: 'not_found' } });
});

it('is in the set until it expires, and the set without it has the bytes that it had', () => {
  const { set, valid_until: until } = setOf(OPEN);
  expect([set.breaker_forced, until]).toEqual(['open', WALL + 60_000]);
  const after = setOf(OPEN, WALL + 60_000);
  expect(after.set).not.toHaveProperty('breaker_forced');
  for (const contract of CONTRACTS) {
    const { payload } = encode(set, contract);
    expect(parseDocument(payload)).toEqual({ ok: true, value: set });
    expect(encode(after.set, contract).payload).toBe(encode(setOf(NO_INTENT).set, contract).payload);
    // A gateway that would leave it out must refuse it.
    expect(writtenIn(payload)).toBeGreaterThan(1);
  }
});

it('what opens by itself protects, what is only said for that case does not', () => {
  const breaker = { failure_percent: 50, fallback: 'cart', answer: { status: 200, body: 'x' } };
  const { set } = setOf({ ...NO_INTENT, spec: { breaker } });
  expect(set.breaker).toEqual(breaker);
  expect(protectedBy(set)).toEqual(['breaker']);
  for (const contract of CONTRACTS)
    expect(parseDocument(encode(set, contract).payload)).toEqual({ ok: true, value: set });
  expect(protectedBy(setOf({ ...NO_INTENT, spec: { breaker: { fallback: 'cart' } } }).set)).toEqual([]);
});

it('bounds on open requests protect, a priority alone does not', () => {
  const { set } = setOf({ ...NO_INTENT, spec: { concurrency: { max_per_instance: 20, max_pending: 5 } } });
  expect(protectedBy(set)).toEqual(['concurrency']);
  for (const contract of CONTRACTS)
    expect(parseDocument(encode(set, contract).payload)).toEqual({ ok: true, value: set });
  expect(protectedBy(setOf({ ...NO_INTENT, spec: { concurrency: { priority: 'critical' } } }).set)).toEqual(
    [],
  );
});

it('a queue without a bound is refused by name', () => {
  const [fault] = specFaults({ concurrency: { max_pending: 5 } });
  expect(fault?.path).toEqual(['concurrency', 'max_pending']);
  expect(specFaults({ concurrency: { max_pending: 5, max_per_service: 1 } })).toEqual([]);
});
