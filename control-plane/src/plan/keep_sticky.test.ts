import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_INTENT, type InstanceIntent, type IntentRecord, type ServiceSpec } from '../model/intent.js';
import type { MutationContext } from '../model/mutation.js';
import type { Registration } from '../model/registration.js';
import { draws } from '../testing/draws.js';
import { buildHeartbeat, buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { compileService } from './compile.js';
import { decide, type ServiceMutation } from './decide.js';
import type { DecisionState } from './decision.js';
import { describeInstance } from './describe_service.js';
import { encode } from './encode.js';
import type { Member, ServiceMembers } from './membership.js';
import { advanceOperations } from './operations.js';
import type { Witnesses } from './proof.js';
import { drainTarget, type World } from './world.js';

const RUNS = draws(2_000);

const NOW = Date.parse('2026-05-01T12:00:00Z');
const MINUTE = 60_000;
const STICKY: ServiceSpec = { balancer: { sticky: { cookie: 'shop_at' } } };
const AT = { epoch: 7, generation: 20 };
const CONTEXT: MutationContext = {
  origin: ORIGIN,
  ...{ by: 'ann', services: '*', reason: '', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};

function members(fields: Partial<Registration> = {}): ServiceMembers {
  const make = (id: string, more: Partial<Registration> = {}): [string, Member] => [
    id,
    { registration: buildRegistration({ id, ...more }), presence: 'present', since: 0, vanished_at: null },
  ];
  return new Map([make('a', fields), make('b')]);
}

function drain(more: object = {}): ServiceMutation {
  const selector = { service: 'shop', ids: ['a'] };
  return {
    kind: 'drain',
    selector,
    timeout_ms: null,
    on_timeout: 'wait',
    keep_sticky_ms: 10 * MINUTE,
    ...more,
  };
}
function decided(mutation: ServiceMutation, record: IntentRecord, context: Partial<MutationContext> = {}) {
  const state: DecisionState = {
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    witnesses: buildWitnesses(),
    ...{ membership: new Map([['shop', members()]]), wall: NOW, newId: 'op-1', drain_timeout_ms: 5 * MINUTE },
  };
  return decide(mutation, { ...CONTEXT, ...context }, state);
}
function drained(more: object = {}, record: IntentRecord = { ...NO_INTENT, spec: STICKY }): IntentRecord {
  const result = decided(drain(more), record);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value.records.get('shop') ?? record;
}
function refusal(more: object, record: IntentRecord = { ...NO_INTENT, spec: STICKY }, context = {}) {
  const result = decided(drain(more), record, context);
  if (result.ok) throw new Error('it was not refused');
  return result.error;
}

/** One gateway that follows everything and has no open request. */
const witnesses: Witnesses = {
  roster: new Map(),
  fleet: {
    complete: true,
    listed: new Map(),
    heard: new Map([['g1', { heartbeat: buildHeartbeat({ applied: AT }), changed_at: 0 }]]),
  },
  ...{ now: 0, silent_ms: 5_000, left: new Map(), shared: new Set<string>(), unready: null, learning: false },
};

/** The world in which what was compiled from `published` at `publishedAt` is out, and `record` is what is wanted at `wall`. */
function world(
  record: IntentRecord,
  wall: number,
  published = record,
  publishedAt = wall,
  of = members(),
): World {
  const compiled = compileService('shop', of, record, wall);
  const inForce = encode(compileService('shop', of, published, publishedAt).set);
  return {
    ...{ wall, epoch: 7, membership: new Map([['shop', of]]), witnesses },
    intents: new Map([['shop', { service: 'shop', record, etag: 'c1-4' }]]),
    compiled: new Map([['shop', compiled]]),
    published: new Map([['shop', { ...inForce, ...AT, at: '' }]]),
    ...{
      unsettled: new Set(),
      damaged: new Map(),
      holds: new Map(),
      history: new Map(),
      recent: new Map(),
    },
    frozen: null,
    ...{ problems: [], found: [], problems_since: new Map(), clashes: [] },
  };
}
function end(record: IntentRecord, seen: World): IntentRecord | null {
  const target = (service: string, instance: string) => drainTarget(seen, service, instance);
  return advanceOperations('shop', record, target, seen.witnesses, seen.wall);
}

describe('a drain that keeps sticky clients', () => {
  test('keeps them until then, and its usual deadline begins there', () => {
    const record = drained();
    expect(record.instances.a).toMatchObject({
      state: 'draining',
      keep_sticky_until: '2026-05-01T12:10:00.000Z',
    });
    expect(record.ops[0]?.deadline).toBe('2026-05-01T12:15:00.000Z');
    const now = compileService('shop', members(), record, NOW);
    expect(now.set.peers[0]).toMatchObject({ id: 'a', state: 'draining', weight: 0, keep_sticky: true });
    expect(now.valid_until).toBe(NOW + 10 * MINUTE);
    const later = compileService('shop', members(), record, NOW + 10 * MINUTE);
    expect(later.set.peers[0]).toMatchObject({ state: 'draining', weight: 0 });
    expect(later.set.peers[0]).not.toHaveProperty('keep_sticky');
    expect(later.valid_until).toBe(Infinity);
  });

  test('is confirmed only by the set that keeps nobody, and says so until then', () => {
    const record = drained();
    const kept = world(record, NOW + 9 * MINUTE);
    expect(end(record, kept)).toBeNull();
    expect(describeInstance(kept, 'shop', 'a')).toMatchObject({
      effective: { state: 'draining', keep_sticky: true },
      health: [],
      intent: { keep_sticky_until: '2026-05-01T12:10:00.000Z' },
      drain: {
        drained: false,
        waiting_for: ['sticky clients are kept until 2026-05-01T12:10:00.000Z'],
      },
    });
    // The time has come, and the set that says so is not out yet.
    const stale = world(record, NOW + 11 * MINUTE, record, NOW + 9 * MINUTE);
    expect(end(record, stale)).toBeNull();
    expect(describeInstance(stale, 'shop', 'a')?.drain?.waiting_for).toEqual([
      'the set of shop that drains it is not published yet',
    ]);
    expect(end(record, world(record, NOW + 11 * MINUTE))?.ops).toMatchObject([{ result: 'drained' }]);
  });

  test('is not confirmed by an older set that kept nobody', () => {
    const plain = drained({ keep_sticky_ms: undefined });
    const keeping = drained({}, plain);
    expect(end(keeping, world(keeping, NOW, plain))).toBeNull();
  });

  test('a second drain without it ends the keeping', () => {
    const ended = drained({ keep_sticky_ms: undefined }, drained());
    expect(ended.instances.a?.keep_sticky_until).toBeUndefined();
  });

  test.each<[string, object, IntentRecord | undefined, Partial<MutationContext>, RegExp]>([
    ['nobody is bound', {}, NO_INTENT, {}, /shop has no balancer.sticky/],
    [
      'a time-out before it',
      { timeout_ms: 10 * MINUTE },
      undefined,
      {},
      /\(10m\) must be shorter than timeout \(10m\)/,
    ],
    ['an expiry before it', {}, undefined, { expires_ms: MINUTE }, /shorter than expires \(1m\)/],
  ])('is refused by name: %s', (_what, more, record, context, detail) => {
    const problem = refusal(more, record, context);
    expect(problem).toMatchObject({ code: 'invalid_request', field: 'body.keep_sticky' });
    expect(problem.detail).toMatch(detail);
  });
});

test('property: while a published set keeps anybody, or one that will is on its way, nothing is proven', () => {
  const mostly = <T>(value: T): readonly T[] => [value, value, value, value];
  const anyIntent = fc.record({
    state: fc.constantFrom(...mostly('draining' as const), 'isolated' as const, 'cut' as const),
    until: fc.constantFrom(...mostly(4), -4, 0, 1, null),
    expires: fc.constantFrom(...mostly(null), -4, 0, 1, 5),
  });
  const anyService = fc.record({
    intent: anyIntent,
    sticky: fc.constantFrom(...mostly(true), false),
    ready: fc.constantFrom(...mostly(true), false),
    leaving: fc.constantFrom(...mostly(false), true),
    publishedAt: fc.integer({ min: -5, max: 5 }),
    wall: fc.integer({ min: -5, max: 5 }),
  });
  const at = (minutes: number): string => new Date(NOW + minutes * MINUTE).toISOString();
  const recordOf = ({
    intent,
    sticky,
  }: {
    intent: { state: 'draining' | 'isolated' | 'cut'; until: number | null; expires: number | null };
    sticky: boolean;
  }): IntentRecord => {
    const instance: InstanceIntent = {
      ...{ state: intent.state, by: 'ann', reason: '', at: at(-9) },
      ...(intent.until === null ? {} : { keep_sticky_until: at(intent.until) }),
      ...(intent.expires === null ? {} : { expires: at(intent.expires) }),
    };
    return { ...NO_INTENT, spec: sticky ? STICKY : {}, instances: { a: instance } };
  };
  let proven = 0;
  let kept = 0;
  fc.assert(
    fc.property(anyService, anyService, (given, before) => {
      const of = members({ ready: given.ready, leaving: given.leaving });
      const wall = NOW + given.wall * MINUTE;
      const seen = world(recordOf(given), wall, recordOf(before), NOW + before.publishedAt * MINUTE, of);
      const target = drainTarget(seen, 'shop', 'a');
      const inForce = seen.published.get('shop')?.document;
      const peer = inForce && 'peers' in inForce ? inForce.peers[0] : undefined;
      const wanted = seen.compiled.get('shop');
      const isProvable = target !== null && 'epoch' in target;
      if (peer?.keep_sticky === true) expect(isProvable).toBe(false);
      if (wanted?.set.peers[0]?.keep_sticky === true) {
        kept += 1;
        expect(isProvable).toBe(false);
        // It ends by itself: the set is valid no longer than that.
        expect(wanted.valid_until).toBeLessThanOrEqual(NOW + (given.intent.until ?? 0) * MINUTE);
        expect(wanted.set.peers[0].state).toBe('draining');
      }
      if (isProvable) proven += 1;
    }),
    { numRuns: RUNS },
  );
  expect(Math.min(proven, kept)).toBeGreaterThan(RUNS / 20);
});
