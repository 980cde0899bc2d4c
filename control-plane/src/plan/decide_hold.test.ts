import { expect, it } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { MutationContext } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { decide } from './decide.js';
import type { DecisionState } from './decision.js';
import { describeIntents } from './describe_fleet.js';
import { diffRecords } from './diff.js';
import type { Member, Presence, ServiceMembers } from './membership.js';
import { endAcceptance, expireIntents } from './operations.js';
import { restsUntil } from './record.js';
import type { World } from './world.js';

const WALL = Date.parse('2026-05-01T12:00:00Z');
const CONTEXT: MutationContext = {
  ...{ origin: ORIGIN, by: 'ann', services: '*', reason: 'I looked', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};

function membersOf(presences: Readonly<Record<string, Presence>>): ServiceMembers {
  return new Map(
    Object.entries(presences).map(([id, presence]): [string, Member] => {
      const registration = buildRegistration({ service: 'shop', id, incarnation: `of ${id}` });
      return [id, { registration, presence, since: 0, vanished_at: presence === 'present' ? null : 0 }];
    }),
  );
}
const MEMBERS = membersOf({ a: 'present', b: 'suspect', c: 'missing', d: 'gone' });

function ask(
  kind: 'hold' | 'accept',
  record: IntentRecord = NO_INTENT,
  more: Partial<MutationContext> = {},
  members = MEMBERS,
) {
  const state: DecisionState = {
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    membership: new Map([['shop', members]]),
    ...{ witnesses: buildWitnesses(), wall: WALL, newId: 'op-1', drain_timeout_ms: 1 },
  };
  return decide({ kind, service: 'shop' }, { ...CONTEXT, ...more }, state);
}
function decided(...args: Parameters<typeof ask>): IntentRecord {
  const result = ask(...args);
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value.records.get('shop') ?? args[1] ?? NO_INTENT;
}
const HELD = decided('hold', NO_INTENT, { expires_ms: 60_000 });

it('a hold says who, why and until when, is listed, replaced by a later one, and expires', () => {
  expect(HELD.hold).toMatchObject({ by: 'ann', reason: 'I looked', expires: '2026-05-01T12:01:00.000Z' });
  expect(HELD.events).toMatchObject([{ event: 'held', by: 'ann', reason: 'I looked' }]);
  const world = { intents: new Map([['shop', { record: HELD }]]), frozen: null, wall: WALL };
  expect(describeIntents(world as unknown as World)).toMatchObject([
    { service: 'shop', kind: 'hold', by: 'ann', until: '2026-05-01T12:01:00.000Z' },
  ]);
  const longer = decided('hold', HELD, { by: 'bob', expires_ms: 120_000 });
  expect(longer.hold).toMatchObject({ by: 'bob', expires: '2026-05-01T12:02:00.000Z' });
  expect(longer.events.at(-1)?.message).toMatch(/replaces the hold by ann/);
  expect(restsUntil(HELD)).toBe(WALL + 60_000);
  expect(expireIntents(HELD, WALL + 59_999)).toBeNull();
  const over = expireIntents(HELD, WALL + 60_000);
  expect(over).not.toHaveProperty('hold');
  expect(over?.events.at(-1)).toMatchObject({ event: 'expired', message: 'hold by ann expired' });
  // While the clock is not believed, nothing is due.
  expect(expireIntents(HELD, WALL + 60_000, WALL)).toBeNull();
});

it('a hold needs a reason, an end, and a service that is there', () => {
  expect(ask('hold', NO_INTENT, { expires_ms: 1, reason: ' ' })).toMatchObject({
    error: { field: 'reason' },
  });
  expect(ask('hold')).toMatchObject({ error: { code: 'invalid_request', field: 'expires' } });
  expect(ask('accept', NO_INTENT, { reason: '' })).toMatchObject({ error: { field: 'reason' } });
  const nobody: DecisionState = {
    ...{ intents: new Map(), membership: new Map(), witnesses: buildWitnesses() },
    ...{ wall: WALL, newId: 'op-1', drain_timeout_ms: 1 },
  };
  for (const kind of ['hold', 'accept'] as const)
    expect(decide({ kind, service: 'shpo' }, { ...CONTEXT, expires_ms: 1 }, nobody)).toMatchObject({
      error: { code: 'not_found' },
    });
});

it('an acceptance names those that are kept, by the life of their registration, and ends a hold', () => {
  const accepted = decided('accept', HELD);
  expect(accepted).not.toHaveProperty('hold');
  expect(accepted.accepted).toMatchObject({ by: 'ann', instances: { b: 'of b', c: 'of c' } });
  expect(accepted.events.at(-1)).toMatchObject({ event: 'loss_accepted', reason: 'I looked' });
  expect(accepted.events.at(-1)?.message).toMatch(/b and c vanished and are gone.*takes back the hold/);
  const lines = diffRecords('shop', MEMBERS, HELD, accepted, WALL);
  expect(lines).toContainEqual(
    expect.objectContaining({ instance: 'b', field: 'state', from: 'suspect', to: 'gone' }),
  );
  expect(lines).toContainEqual(expect.objectContaining({ field: 'hold', to: 'none' }));
  const again = decided('accept', accepted, {}, membersOf({ e: 'suspect' }));
  expect(Object.keys(again.accepted?.instances ?? {})).toEqual(['b', 'c', 'e']);
});

it('an acceptance of nothing changes nothing; one that only ends a hold accepts nobody', () => {
  const present = membersOf({ a: 'present' });
  expect(decided('accept', NO_INTENT, {}, present)).toBe(NO_INTENT);
  const ended = decided('accept', HELD, {}, present);
  expect(ended).not.toHaveProperty('hold');
  expect(ended).not.toHaveProperty('accepted');
});

it('a repeated request acts once; the same key for another one is refused', () => {
  const key = { idempotency_key: 'k', expires_ms: 60_000 };
  const held = decided('hold', NO_INTENT, key);
  expect(decided('hold', held, key)).toBe(held);
  expect(ask('hold', held, { ...key, expires_ms: 1 })).toMatchObject({
    error: { code: 'idempotency_conflict' },
  });
});

it('an acceptance stays until nobody it names is kept, or in a set that is out', () => {
  const accepted = decided('accept');
  expect(restsUntil(accepted)).toBe(-Infinity);
  const out = membersOf({ b: 'gone', c: 'gone' });
  expect(endAcceptance(accepted, MEMBERS, () => true)).toBeNull();
  expect(endAcceptance(accepted, out, (id) => id === 'b')).toBeNull();
  expect(endAcceptance(accepted, out, () => true)).not.toHaveProperty('accepted');
  const back = membersOf({ b: 'present', c: 'present' });
  expect(endAcceptance(accepted, back, () => false)).not.toHaveProperty('accepted');
  expect(endAcceptance(NO_INTENT, MEMBERS, () => true)).toBeNull();
});
