import { expect, it } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { buildRelease } from '../testing/releases.js';
import { decide, type ServiceMutation } from './decide.js';
import { decideFreezeOfAll } from './decide_freeze.js';
import type { DecisionState } from './decision.js';
import { describeIntents } from './describe_fleet.js';
import { freezesOf, frozenBy } from './freeze.js';
import type { Member } from './membership.js';
import { expireIntents } from './operations.js';
import { planChange, planHash } from './release/plan_hash.js';
import type { World } from './world.js';

const WALL = Date.parse('2026-05-01T12:00:00Z');
const CONTEXT: MutationContext = {
  origin: ORIGIN,
  ...{ by: 'ann', services: '*', reason: 'payday', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};

function membersOf(...instances: readonly (readonly [id: string, version: string])[]) {
  return new Map(
    instances.map(([id, version]): [string, Member] => {
      const registration = buildRegistration({ service: 'shop', id, version });
      return [id, { registration, presence: 'present', since: 0, vanished_at: null }];
    }),
  );
}

function stateOf(record: IntentRecord, more: Partial<DecisionState> = {}): DecisionState {
  return {
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    membership: new Map([['shop', membersOf(['a', 'v1'], ['b', 'v2'])]]),
    ...{ witnesses: buildWitnesses(), wall: WALL, newId: 'op-1', drain_timeout_ms: 1 },
    ...more,
  };
}

function worldOf(record: IntentRecord, frozen: World['frozen'] = null, wall = WALL): World {
  const { intents, membership } = stateOf(record);
  return { intents, membership, frozen, wall } as unknown as World;
}

function decided(mutation: ServiceMutation, record: IntentRecord, context = CONTEXT): IntentRecord {
  const result = decide(mutation, context, stateOf(record));
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value.records.get('shop') ?? record;
}

it('a freeze of a service blocks it, says by whom, why and until when, and ends by itself', () => {
  const frozen = decided({ kind: 'freeze', service: 'shop' }, NO_INTENT, { ...CONTEXT, expires_ms: 60_000 });
  expect(frozen.events).toMatchObject([{ event: 'frozen', by: 'ann', reason: 'payday' }]);
  expect(frozenBy(worldOf(frozen), 'shop')).toEqual([
    'shop is frozen by ann until 2026-05-01T12:01:00.000Z: payday',
  ]);
  expect(frozenBy(worldOf(frozen), 'other')).toEqual([]);
  expect(describeIntents(worldOf(frozen))).toMatchObject([
    { service: 'shop', instance: null, kind: 'freeze', by: 'ann', until: '2026-05-01T12:01:00.000Z' },
  ]);
  const later = WALL + 60_000;
  expect(frozenBy(worldOf(frozen, null, later), 'shop')).toEqual([]);
  expect(expireIntents(frozen, WALL)).toBeNull();
  const cleared = expireIntents(frozen, later);
  expect(cleared).not.toHaveProperty('freeze');
  expect(cleared?.events.at(-1)).toMatchObject({ event: 'expired', by: 'controller' });
});

it('is taken back, and what is taken back twice changes nothing', () => {
  const frozen = decided({ kind: 'freeze', service: 'shop' }, NO_INTENT);
  const thawed = decided({ kind: 'unfreeze', service: 'shop' }, frozen, { ...CONTEXT, reason: '' });
  expect(thawed).not.toHaveProperty('freeze');
  expect(decided({ kind: 'unfreeze', service: 'shop' }, thawed)).toBe(thawed);
});

it('needs a reason and a service that is there; other changes leave it alone', () => {
  const mute = decide({ kind: 'freeze', service: 'shop' }, { ...CONTEXT, reason: '' }, stateOf(NO_INTENT));
  expect(mute).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
  const typo = decide({ kind: 'freeze', service: 'shpo' }, CONTEXT, stateOf(NO_INTENT));
  expect(typo).toMatchObject({ ok: false, error: { code: 'not_found' } });
  const frozen = decided({ kind: 'freeze', service: 'shop' }, NO_INTENT);
  const weighted = decided({ kind: 'set_weights', service: 'shop', weights: { a: 7 } }, frozen);
  expect(weighted.freeze).toEqual(frozen.freeze);
});

it('the freeze of everything is beside those of services, and one that cannot be read blocks as well', () => {
  const verb = { kind: 'freeze_all' } satisfies Mutation;
  const keyed = { ...CONTEXT, idempotency_key: 'k1' };
  const made = decideFreezeOfAll(verb, keyed, null, stateOf(NO_INTENT));
  if (!made.ok || !made.value) throw new Error('not made');
  const record = decided({ kind: 'freeze', service: 'shop' }, NO_INTENT);
  const world = worldOf(record, made.value.freeze);
  expect(freezesOf(world, 'shop').map(({ scope }) => scope)).toEqual(['service', 'all']);
  expect(frozenBy(world, 'other')).toEqual(['everything is frozen by ann: payday']);
  expect(describeIntents(world).map(({ service }) => service)).toEqual(['*', 'shop']);
  expect(frozenBy(worldOf(NO_INTENT, 'unknown'), 'shop')).toHaveLength(1);
  const stored = { record: made.value, etag: 'c1-0' };
  expect(decideFreezeOfAll(verb, keyed, stored, stateOf(NO_INTENT))).toEqual({ ok: true, value: null });
  const other = { ...keyed, reason: 'another' };
  expect(decideFreezeOfAll(verb, other, stored, stateOf(NO_INTENT))).toMatchObject({
    error: { code: 'idempotency_conflict' },
  });
  const back = decideFreezeOfAll({ kind: 'unfreeze_all' }, CONTEXT, stored, stateOf(NO_INTENT));
  expect(back).toMatchObject({ value: { rev: 2, freeze: null } });
});

it('a drain sees the shares of a release: who has none of them does not serve', () => {
  const drain: ServiceMutation = {
    ...{ kind: 'drain', timeout_ms: null, on_timeout: 'wait' },
    selector: { service: 'shop', ids: ['a'] },
  };
  const traffic = (shares: Readonly<Record<string, number>>) =>
    new Map([['shop', { release: 'rel-1', stable: 'v1', shares, draining: [], batch: '' }]]);
  const guarded = (shares: Readonly<Record<string, number>>) =>
    decide(drain, CONTEXT, stateOf(NO_INTENT, { traffic: traffic(shares) }));
  // v2 waits for its first step: taking v1's last instance out would send everything to it.
  expect(guarded({ v1: 100 })).toMatchObject({
    error: { code: 'guard_refused', guards: [{ guard: 'last_ready_instance' }] },
  });
  expect(guarded({ v1: 90, v2: 10 })).toMatchObject({ ok: true });
  expect(guarded({ v2: 100 })).toMatchObject({ ok: true });
  expect(decide(drain, CONTEXT, stateOf(NO_INTENT))).toMatchObject({ ok: true });
  const record = { ...NO_INTENT, spec: { min_available: 2 } };
  const three = new Map([['shop', membersOf(['a', 'v1'], ['b', 'v1'], ['c', 'v2'])]]);
  const least = decide(drain, CONTEXT, {
    ...stateOf(record, { traffic: traffic({ v1: 100 }) }),
    membership: three,
  });
  expect(least).toMatchObject({ error: { guards: [{ guard: 'min_available', would_leave: 1, needed: 2 }] } });
});

it('a plan hash names what has changed', () => {
  const record = buildRelease();
  const world = worldOf(NO_INTENT);
  const hash = planHash(record, world);
  // What a start makes again each time, and what its progress changes, is no part of it.
  const again = { ...record, id: 'rel-2', n: 7, at: '2026-06-01T00:00:00.000Z', step: 2, rev: 9 };
  expect(planChange(hash, again, world)).toBeNull();
  const more = { ...world, membership: new Map([['shop', membersOf(['a', 'v1'])]]) };
  expect(planChange(hash, record, more)).toContain('the instances (now v1 1)');
  const gates = { ...record.gates, min_samples: 1 };
  const other = planChange(hash, { ...record, gates, stable: 'v0' }, world);
  expect(other).toMatch(/the gates \(now .*"min_samples":1.*the stable version \(now v0\)/);
  expect(other).not.toContain('the target');
});
