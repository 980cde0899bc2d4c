import { describe, expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { Heartbeat } from '../model/gateway.js';
import type { MutationContext } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { decide, type ServiceMutation } from './decide.js';
import type { DecisionState } from './decision.js';
import type { Member, Presence } from './membership.js';

const CONTEXT: MutationContext = {
  origin: ORIGIN,
  ...{ by: 'ann', services: '*', reason: '', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};
const applied = { epoch: 1, generation: 1 };

/** What a gateway says that finds these instances of `shop` in these states. */
function finds(states: Readonly<Record<string, string>>, more: Partial<Heartbeat> = {}): Partial<Heartbeat> {
  const health = Object.fromEntries(
    Object.entries(states).map(([id, state]) => [`shop|${id}`, { state, reason: 'timed out', since: 1 }]),
  );
  return { applied, health, ...more };
}

/** `a` of v1 on 10.0.0.1 in z1, `b` of v2 on 10.0.0.2 in z2. */
function members(presence: Readonly<Record<string, Presence>> = {}): ReadonlyMap<string, Member> {
  return new Map(
    ['a', 'b'].map((id, at): [string, Member] => {
      const n = String(at + 1);
      const registration = buildRegistration({ id, host: `10.0.0.${n}`, version: `v${n}`, zone: `z${n}` });
      return [id, { registration, presence: presence[id] ?? 'present', since: 0, vanished_at: null }];
    }),
  );
}

function stateOf(
  heard: Readonly<Record<string, Partial<Heartbeat>>>,
  record: IntentRecord = NO_INTENT,
  shop = members(),
): DecisionState {
  return {
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    ...{ membership: new Map([['shop', shop]]), witnesses: buildWitnesses(heard) },
    ...{ wall: 0, newId: 'op-1', drain_timeout_ms: 1_000 },
  };
}

function guardsOf(mutation: ServiceMutation, state: DecisionState): readonly string[] {
  const decided = decide(mutation, CONTEXT, state);
  if (decided.ok) return [];
  expect(decided.error.code).toBe('guard_refused');
  return (decided.error.guards ?? []).map(({ guard, message }) => `${guard}: ${message}`);
}

const drain = (selector: Record<string, unknown>): ServiceMutation => {
  return { kind: 'drain', selector, timeout_ms: null, on_timeout: 'wait' };
};
const A = { service: 'shop', ids: ['a'] };
const EVERY_VERB: readonly (readonly [string, ServiceMutation])[] = [
  ['drain', drain(A)],
  ['isolate', { kind: 'isolate', selector: A }],
  ['weight 0', { kind: 'set_weights', service: 'shop', weights: { a: 0 } }],
  ['shares', { kind: 'set_versions', service: 'shop', versions: { v2: 100 } }],
  ['host', drain({ host: '10.0.0.1' })],
  ['zone', drain({ zone: 'z1' })],
  ['version', drain({ service: 'shop', version: 'v1' })],
  ['isolation of a host', { kind: 'isolate', selector: { host: '10.0.0.1' } }],
];

describe.each(EVERY_VERB)('%s of the only instance that is well', (_name, mutation) => {
  test('is refused, and says who is left and which gateways find it failing', () => {
    const state = stateOf({ g1: finds({ b: 'ejected' }), g2: finds({ b: 'failing' }) });
    expect(guardsOf(mutation, state)).toEqual([
      'last_ready_instance: shop would have no instance left that takes requests: ' +
        'b is ejected on gateway g1 (timed out) and failing on gateway g2 (timed out)',
    ]);
  });
  test('is done with force, and the guard is reported', () => {
    const state = stateOf({ g1: finds({ b: 'half_open' }) });
    const decided = decide(mutation, { ...CONTEXT, force: true, reason: 'burn it' }, state);
    expect(decided).toMatchObject({ ok: true, value: { guards: [{ guard: 'last_ready_instance' }] } });
  });
  test('is done if one live gateway finds the other one well', () => {
    expect(guardsOf(mutation, stateOf({ g1: finds({ b: 'failing' }), g2: finds({}) }))).toEqual([]);
    expect(guardsOf(mutation, stateOf({ g1: finds({ b: 'warming' }) }))).toEqual([]);
    expect(guardsOf(mutation, stateOf({}))).toEqual([]);
  });
});

test('a gateway in panic sends requests there all the same; it does not serve by that', () => {
  const state = stateOf({ g1: finds({ b: 'failing' }, { panic: ['shop'] }) });
  expect(guardsOf(drain(A), state)).toHaveLength(1);
});

test('whoever is found failing may be drained', () => {
  expect(guardsOf(drain({ service: 'shop', ids: ['b'] }), stateOf({ g1: finds({ b: 'failing' }) }))).toEqual(
    [],
  );
});

test('where nobody is well, one of them may go and the last one may not', () => {
  const heard = { g1: finds({ a: 'failing', b: 'failing' }, { panic: ['shop'] }) };
  expect(guardsOf(drain(A), stateOf(heard))).toEqual([]);
  expect(guardsOf(drain({ service: 'shop', ids: ['a', 'b'] }), stateOf(heard))).toEqual([
    'last_ready_instance: shop would have no instance left that takes requests',
  ]);
});

test('an instance whose registration is missing is used, and is nobody to rely on', () => {
  const heard = { g1: finds({}) };
  expect(guardsOf(drain(A), stateOf(heard, NO_INTENT, members({ b: 'suspect' })))).toEqual([
    'last_ready_instance: shop would have no instance left that takes requests: the registration of b is missing',
  ]);
  // While nobody is registered the set speaks, as before.
  const nobody = members({ a: 'missing', b: 'missing' });
  expect(guardsOf(drain(A), stateOf(heard, NO_INTENT, nobody))).toEqual([]);
});

test('min_available counts who serves', () => {
  const record: IntentRecord = { ...NO_INTENT, spec: { min_available: 2 } };
  const shop = new Map([
    ...members(),
    ...['c', 'd'].map((id): [string, Member] => {
      const registration = buildRegistration({ id, host: '10.0.0.9' });
      return [id, { registration, presence: 'present', since: 0, vanished_at: null }];
    }),
  ]);
  expect(guardsOf(drain(A), stateOf({ g1: finds({ b: 'ejected', c: 'ejected' }) }, record, shop))).toEqual([
    'min_available: shop would have 1 instance left, and its min_available is 2: ' +
      'b is ejected on gateway g1 (timed out) and c is ejected on gateway g1 (timed out)',
  ]);
  expect(guardsOf(drain(A), stateOf({ g1: finds({ b: 'ejected' }) }, record, shop))).toEqual([]);
});
