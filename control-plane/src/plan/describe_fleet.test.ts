import { expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import type { MutationContext } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { decide } from './decide.js';
import { describeIntents } from './describe_fleet.js';
import type { Member } from './membership.js';
import type { World } from './world.js';

const CONTEXT: MutationContext = {
  origin: ORIGIN,
  by: 'ann',
  services: '*',
  reason: 'canary of v2',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};

test.each([
  ['canary of v2', 'canary of v2'],
  ['', ''],
])('shares show the reason %j that was given for them, not what happened', (given, shown) => {
  const registration = buildRegistration({ id: 'a' });
  const member: Member = { registration, presence: 'present', since: 0, vanished_at: null };
  const membership = new Map([['shop', new Map([['a', member]])]]);
  const state = {
    ...{ intents: new Map(), membership, witnesses: buildWitnesses() },
    ...{ wall: 0, newId: 'op-1', drain_timeout_ms: 1 },
  };
  const decided = decide(
    { kind: 'set_versions', service: 'shop', versions: { v1: 100 } },
    { ...CONTEXT, reason: given },
    state,
  );
  if (!decided.ok) throw new Error(decided.error.detail);
  const record = decided.value.records.get('shop') ?? NO_INTENT;
  const world = { wall: 0, intents: new Map([['shop', { service: 'shop', record, etag: '1-1' }]]) };
  expect(describeIntents(world as unknown as World)).toMatchObject([
    { kind: 'versions', value: 'v1=100', by: 'ann', reason: shown },
  ]);
});
