import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RouteSpec } from '../model/route.js';
import { NO_INTENT, type IntentRecord, type ServiceSpec, type StoredIntent } from '../model/intent.js';
import type { Mutation, MutationContext, SpecPatch } from '../model/mutation.js';
import { buildHeartbeat, buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { compileService, countEligible } from './compile.js';
import { decide, type Decision, type ServiceMutation } from './decide.js';
import type { DecisionState } from './decision.js';
import type { Member } from './membership.js';
import { advanceOperations, expireIntents } from './operations.js';
import type { Witnesses } from './proof.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const CONTEXT: MutationContext = {
  origin: ORIGIN,
  by: 'ann',
  services: '*',
  reason: '',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};

/** Instances a, b, c of `shop`, on hosts 10.0.0.1 … 3; a and b are v1, c is v2. */
function members(): ReadonlyMap<string, Member> {
  const make = (id: string, n: number, version: string): [string, Member] => [
    id,
    {
      registration: buildRegistration({ id, host: `10.0.0.${String(n)}`, version }),
      presence: 'present',
      since: 0,
      vanished_at: null,
    },
  ];
  return new Map([make('a', 1, 'v1'), make('b', 2, 'v1'), make('c', 3, 'v2')]);
}
function state(
  records: Record<string, IntentRecord> = {},
  newId = 'op-1',
  witnesses: Witnesses = buildWitnesses(),
): DecisionState {
  const intents = new Map<string, StoredIntent>();
  for (const [service, record] of Object.entries(records))
    intents.set(service, { service, record, etag: 'c1-4' });
  const membership = new Map([['shop', members()]]);
  return { intents, membership, witnesses, wall: NOW, newId, drain_timeout_ms: 600_000 };
}
function done(mutation: ServiceMutation, from = state(), context: Partial<MutationContext> = {}): Decision {
  const decided = decide(mutation, { ...CONTEXT, ...context }, from);
  if (!decided.ok) throw new Error(`refused: ${decided.error.detail}`);
  return decided.value;
}
function refused(mutation: ServiceMutation, from = state(), context: Partial<MutationContext> = {}) {
  const decided = decide(mutation, { ...CONTEXT, ...context }, from);
  if (decided.ok) throw new Error('it was not refused');
  return decided.error;
}
const drain = (...ids: readonly string[]): Extract<Mutation, { kind: 'drain' }> => ({
  kind: 'drain',
  selector: { service: 'shop', ids },
  timeout_ms: null,
  on_timeout: 'wait',
});
const recordAfter = (decision: Decision): IntentRecord => decision.records.get('shop') ?? NO_INTENT;

describe('drain', () => {
  test('sets the intent, starts an operation with the default deadline, and shows who', () => {
    const after = recordAfter(done(drain('a'), state(), { reason: 'kernel' }));
    expect(after.instances.a).toMatchObject({ state: 'draining', by: 'ann', reason: 'kernel', op: 'op-1' });
    expect(after.ops).toMatchObject([{ id: 'op-1', instances: ['a'], deadline: '2026-05-01T12:10:00.000Z' }]);
    expect(after.events).toMatchObject([{ event: 'drain_started', instance: 'a', by: 'ann' }]);
    expect(after.rev).toBe(1);
  });
  test('by version, by host, and nothing that matches', () => {
    const by = (selector: Record<string, string>): ServiceMutation => ({ ...drain(), selector });
    expect(Object.keys(recordAfter(done(by({ service: 'shop', version: 'v2' }))).instances)).toEqual(['c']);
    expect(Object.keys(recordAfter(done(by({ host: '10.0.0.2' }))).instances)).toEqual(['b']);
    expect(refused(by({ host: '10.9.9.9' })).code).toBe('not_found');
    expect(refused(by({ service: 'shop' })).code).toBe('invalid_request');
  });
  test('an unknown instance is refused by name', () => {
    expect(refused(drain('a', 'zz'))).toMatchObject({
      code: 'not_found',
      detail: expect.stringContaining('zz') as string,
    });
  });
  test('the last ready instance is guarded; force needs a reason and then only warns', () => {
    const problem = refused(drain('a', 'b', 'c'));
    expect(problem).toMatchObject({
      code: 'guard_refused',
      guards: [{ guard: 'last_ready_instance', would_leave: 0 }],
    });
    expect(refused(drain('a', 'b', 'c'), state(), { force: true }).field).toBe('reason');
    expect(done(drain('a', 'b', 'c'), state(), { force: true, reason: 'end of life' }).guards).toHaveLength(
      1,
    );
  });
  test('what a release has drained is no capacity', () => {
    const traffic = new Map([
      ['shop', { release: 'rel-1', stable: 'v1', shares: {}, draining: ['b', 'c'], batch: 'batch 1' }],
    ]);
    expect(refused(drain('a'), { ...state(), traffic })).toMatchObject({
      guards: [{ guard: 'last_ready_instance', would_leave: 0 }],
    });
  });
  test('min_available is guarded', () => {
    const from = state({ shop: { ...NO_INTENT, spec: { min_available: 3 } } });
    expect(refused(drain('a'), from)).toMatchObject({
      guards: [{ guard: 'min_available', would_leave: 2, needed: 3 }],
    });
  });
});

describe('conventions', () => {
  test('an Idempotency-Key acts once, and is refused for another request', () => {
    const key = { idempotency_key: 'k-1' };
    const from = state({ shop: recordAfter(done(drain('a'), state(), key)) }, 'op-2');
    expect(done(drain('a'), from, key)).toMatchObject({
      repeated: true,
      operation: 'op-1',
      records: new Map(),
    });
    expect(refused(drain('b'), from, key).code).toBe('idempotency_conflict');
    expect(done(drain('b'), from).operation).toBe('op-2');
  });
  test('If-Match must be the present etag', () => {
    const from = state({ shop: NO_INTENT });
    expect(refused(drain('a'), from, { if_match: 'c1-3' }).code).toBe('precondition_failed');
    expect(done(drain('a'), from, { if_match: 'c1-4' }).records.size).toBe(1);
    expect(refused(drain('a'), state(), { if_match: 'c1-4' }).code).toBe('precondition_failed');
    expect(done(drain('a'), state(), { if_match: '0' }).records.size).toBe(1);
  });
  test('what is so already changes nothing', () => {
    expect(done({ kind: 'undrain', selector: { service: 'shop', ids: ['a'] } }).records.size).toBe(0);
    expect(done({ kind: 'set_weights', service: 'shop', weights: { a: null } }).records.size).toBe(0);
    expect(done({ kind: 'patch_spec', service: 'shop', spec: {} }).records.size).toBe(0);
  });
});

describe('the service', () => {
  test('a patch merges, and null takes a member back', () => {
    const first = recordAfter(
      done({ kind: 'patch_spec', service: 'shop', spec: { min_available: 2, retry: { tries: 3 } } }),
    );
    const second = done(
      { kind: 'patch_spec', service: 'shop', spec: { min_available: null } },
      state({ shop: first }),
    );
    expect(recordAfter(second).spec).toEqual({ retry: { tries: 3 } });
  });
  test('a patch merges at every depth, replaces lists, and takes members and sections back', () => {
    const patched = (spec: SpecPatch, before: ServiceSpec): ServiceSpec =>
      recordAfter(
        done({ kind: 'patch_spec', service: 'shop', spec }, state({ shop: { ...NO_INTENT, spec: before } })),
      ).spec;
    const health = { max_fails: 5, check: { path: '/health', rise: 4 }, fail_statuses: [500] };
    expect(patched({ health: { check: { rise: null, fall: 1 }, fail_statuses: [502] } }, { health })).toEqual(
      {
        health: { max_fails: 5, check: { path: '/health', fall: 1 }, fail_statuses: [502] },
      },
    );
    expect(patched({ health: { check: null } }, { health }).health).toEqual({
      max_fails: 5,
      fail_statuses: [500],
    });
    expect(patched({ health: { max_fails: null } }, { health: { max_fails: 5 } })).toEqual({});
    const event = recordAfter(
      done({
        kind: 'patch_spec',
        service: 'shop',
        spec: { health: { check: null, max_fails: 9 }, retry: {}, min_available: 2 },
      }),
    ).events[0];
    expect(event?.message).toBe('changed health.check, health.max_fails: 3 → 9, retry, min_available: 1 → 2');
    // An empty check is a check with every default.
    expect(patched({ health: { check: {} } }, {})).toEqual({ health: { check: {} } });
  });
  test.each<[SpecPatch, string, RegExp]>([
    [{ balancer: { algorithm: 'consistent_hash' } }, 'balancer.hash_on', /source header and name x-user/],
    [{ balancer: { hash_on: { source: 'path', name: 'x' } } }, 'balancer.hash_on.name', /left out/],
    [{ balancer: { hash_on: { source: 'cookie' } } }, 'balancer.hash_on.name', /name of the cookie/],
    [{ balancer: { max_load_percent: 50 } }, 'balancer.max_load_percent', /at least 100, or 0/],
    [{ timeouts: { try_ms: 900, total_ms: 800 } }, 'timeouts.total_ms', /try_ms \(900\).*it is 800/],
    [{ health: { check: { interval_ms: 2_000 } } }, 'health.check.timeout_ms', /interval_ms \(2000\)/],
    [{ health: { check: { statuses: [] } } }, 'health.check.statuses', /at least one range/],
    [{ upstream: { tls: 'internal' } }, 'upstream.tls', /https or grpcs only, and that is http/],
    // Each member is right, and the whole could not be read back: the service would be stuck.
    [{ balancer: { sticky: { max_age_s: 60 } } }, 'balancer.sticky.cookie', /missing/],
    [{ balancer: { sticky: {} } }, 'balancer.sticky.cookie', /missing/],
    [{ balancer: { hash_on: { name: 'x' } } }, 'balancer.hash_on.source', /missing/],
    [{ health: { check: { body: 'a\ud800' } } }, 'health.check.body', /must/],
  ])('what does not go together is refused by name: %j', (spec, field, detail) => {
    const problem = refused({ kind: 'patch_spec', service: 'shop', spec });
    expect(problem).toMatchObject({ code: 'invalid_request', field: `body.${field}` });
    expect(problem.detail).toMatch(detail);
  });
  test('what goes together passes, also in two steps', () => {
    const first = recordAfter(
      done({
        kind: 'patch_spec',
        service: 'shop',
        spec: { balancer: { hash_on: { source: 'query', name: 'key' } } },
      }),
    );
    const second = done(
      { kind: 'patch_spec', service: 'shop', spec: { balancer: { algorithm: 'consistent_hash' } } },
      state({ shop: first }),
    );
    expect(recordAfter(second).spec.balancer).toMatchObject({ algorithm: 'consistent_hash' });
    const third = refused(
      { kind: 'patch_spec', service: 'shop', spec: { balancer: { hash_on: null } } },
      state({ shop: recordAfter(second) }),
    );
    expect(third.field).toBe('body.balancer.hash_on');
  });
  test('a route that another service has is refused', () => {
    const from = state({ cart: { ...NO_INTENT, spec: { routes: [{ host: '*', path: '/' }] } } });
    const patch: ServiceMutation = {
      kind: 'patch_spec',
      service: 'shop',
      spec: { routes: [{ host: '*', path: '/' }] },
    };
    expect(refused(patch, from)).toMatchObject({
      code: 'route_taken',
      detail: expect.stringContaining('cart') as string,
    });
  });
  test('routes that are ambiguous are refused, with both names and what mends it', () => {
    const routes = (...list: readonly RouteSpec[]): ServiceMutation => ({
      ...{ kind: 'patch_spec', service: 'shop', spec: { routes: list } },
    });
    const get = { host: '*', path: '/', name: 'reads', methods: ['GET', 'HEAD'] };
    const beta = { host: '*', path: '/', name: 'beta', headers: [{ name: 'x-beta', present: true }] };
    const mine = refused(routes(get, beta), state());
    expect(mine).toMatchObject({ code: 'invalid_request', field: 'body.routes' });
    expect(mine.detail).toMatch(/reads .* beta .* may match the same request.*higher priority/);
    const from = state({ cart: { ...NO_INTENT, spec: { routes: [beta] } } });
    const theirs = refused(routes(get), from);
    expect(theirs).toMatchObject({ code: 'route_taken', field: 'routes' });
    expect(theirs.detail).toMatch(/reads .* beta .* of cart may match the same request.*higher priority/);
    for (const mended of [
      routes({ ...get, priority: 1 }, beta),
      routes(get, { ...beta, methods: ['POST'] }),
      routes(get, { ...beta, path: '/beta' }),
    ])
      expect(done(mended, state()).services).toEqual(['shop']);
    expect(
      done(routes({ ...get, name: 'writes', methods: ['POST'] }, get, { host: '*', path: '/' }), state())
        .services,
    ).toEqual(['shop']);
  });
  test('a limit names routes that the service has', () => {
    const limits = [{ name: 'writes', rate: '1/s', routes: ['writes'] }];
    const alone: ServiceMutation = { kind: 'patch_spec', service: 'shop', spec: { limits } };
    expect(refused(alone, state())).toMatchObject({
      ...{ code: 'invalid_request', field: 'body.limits.0.routes' },
      detail: expect.stringContaining('names writes, which no route of the service is called') as string,
    });
    const routes = [{ host: '*', path: '/', name: 'writes', methods: ['POST'] }];
    const both: ServiceMutation = { kind: 'patch_spec', service: 'shop', spec: { limits, routes } };
    const from = state({ shop: recordAfter(done(both, state())) });
    const without: ServiceMutation = { kind: 'patch_spec', service: 'shop', spec: { routes: null } };
    expect(refused(without, from).field).toBe('body.limits.0.routes');
  });
  test('patterns are bounded: each by itself, and how many there are for one host and path', () => {
    const routes = (count: number, more: (index: number) => object): ServiceMutation => {
      const list = Array.from({ length: count }, (_, index) => {
        return { host: 'a.b', path: '/', priority: index, name: `r${String(index)}`, ...more(index) };
      });
      return { kind: 'patch_spec', service: 'shop', spec: { routes: list } };
    };
    expect(
      refused(
        routes(1, () => ({ regex: '(a+)+' })),
        state(),
      ),
    ).toMatchObject({
      ...{ code: 'invalid_request', field: 'body.routes.0.regex' },
      detail: expect.stringContaining('repeat a group') as string,
    });
    const regex = (index: number): object => ({ regex: `/${String(index)}` });
    expect(done(routes(16, regex), state()).services).toEqual(['shop']);
    expect(refused(routes(17, regex), state()).detail).toMatch(/a\.b would have 17 routes with a regex/);
    const others = state({
      cart: { ...NO_INTENT, spec: { routes: [{ host: 'a.b', path: '/x', regex: '/x/y' }] } },
    });
    expect(refused(routes(16, regex), others).detail).toMatch(/a\.b would have 17 routes with a regex/);
    const methods = (index: number): object => ({ methods: [`M${'A'.repeat(index % 20)}`] });
    expect(done(routes(64, methods), state()).services).toEqual(['shop']);
    expect(refused(routes(65, methods), state()).detail).toMatch(/would have 65 routes, and may have 64/);
  });
  test('shares must sum to 100, name known versions, and leave somebody to serve', () => {
    const shares = (versions: Record<string, number>): ServiceMutation => ({
      kind: 'set_versions',
      service: 'shop',
      versions,
    });
    expect(refused(shares({ v1: 80, v2: 30 })).detail).toMatch(/110/);
    expect(refused(shares({ v1: 80, v9: 20 })).code).toBe('not_found');
    expect(recordAfter(done(shares({ v1: 80, v2: 20 }))).versions).toEqual({ v1: 80, v2: 20 });
  });
  test('a weight keeps the intent about the state', () => {
    const drained = recordAfter(done(drain('a')));
    const both = recordAfter(
      done({ kind: 'set_weights', service: 'shop', weights: { a: 5 } }, state({ shop: drained })),
    );
    expect(both.instances.a).toMatchObject({ state: 'draining', weight: 5 });
    const back = recordAfter(
      done({ kind: 'undrain', selector: { service: 'shop', ids: ['a'] } }, state({ shop: both })),
    );
    expect(back.instances.a).toMatchObject({ weight: 5 });
    expect(back.instances.a?.state).toBeUndefined();
  });
});

describe('backups', () => {
  const made = (backup: boolean | null, from = state(), context = {}): IntentRecord =>
    recordAfter(
      done({ kind: 'set_weights', service: 'shop', weights: {}, backups: { a: backup } }, from, context),
    );
  test('an intent about the role is beside weight and state, and goes by itself', () => {
    const first = made(true, state(), { reason: 'spare' });
    expect(first.instances.a).toEqual({
      backup: true,
      by: 'ann',
      reason: 'spare',
      at: '2026-05-01T12:00:00.000Z',
    });
    expect(first.events).toMatchObject([{ event: 'backup_changed', instance: 'a' }]);
    const weighted = recordAfter(
      done({ kind: 'set_weights', service: 'shop', weights: { a: 7 } }, state({ shop: first })),
    );
    expect(weighted.instances.a).toMatchObject({ backup: true, weight: 7 });
    const drained = recordAfter(done(drain('a'), state({ shop: weighted })));
    expect(drained.instances.a).toMatchObject({ backup: true, weight: 7, state: 'draining' });
    const back = recordAfter(
      done({ kind: 'undrain', selector: { service: 'shop', ids: ['a'] } }, state({ shop: drained })),
    );
    expect(back.instances.a).toMatchObject({ backup: true, weight: 7 });
    expect(made(null, state({ shop: back })).instances.a).toMatchObject({ weight: 7 });
    expect(made(null, state({ shop: back })).instances.a?.backup).toBeUndefined();
    expect(made(null, state({ shop: first })).instances).toEqual({});
    expect(
      done({ kind: 'set_weights', service: 'shop', weights: {}, backups: { a: null } }).records.size,
    ).toBe(0);
  });
  test('it expires alone', () => {
    const expiring = made(true, state(), { expires_ms: 1_000 });
    expect(expireIntents(expiring, NOW + 1_000)).toMatchObject({
      instances: {},
      events: [
        {},
        { event: 'expired', message: 'expired: made a backup by ann until 2026-05-01T12:00:01.000Z' },
      ],
    });
  });
  test('a backup counts as available: the last of the others may go', () => {
    const from = state({ shop: { ...NO_INTENT, instances: made(true).instances } });
    expect(done(drain('b', 'c'), from).guards).toEqual([]);
    expect(refused(drain('a', 'b', 'c'), from).code).toBe('guard_refused');
  });
});

describe('the end of an operation', () => {
  const target = { epoch: 7, generation: 20 };
  const seen = (open: number, silent = false): Witnesses => ({
    roster: new Map(),
    fleet: {
      complete: true,
      listed: new Map(),
      heard: new Map([
        [
          'g1',
          {
            heartbeat: buildHeartbeat({ applied: target, in_flight: open > 0 ? { 'shop|a': open } : {} }),
            changed_at: silent ? -60_000 : 0,
          },
        ],
      ]),
    },
    now: 0,
    silent_ms: 5_000,
    left: new Map(),
    shared: new Set(),
    unready: null,
    learning: false,
  });
  const silentInRoster = (): Witnesses => ({
    ...seen(0, true),
    roster: new Map([['g1', { id: 'g1', boot: 'b', host: 'h', since: '' }]]),
  });
  const started = (onTimeout: 'wait' | 'cut' | 'undrain' = 'wait'): IntentRecord =>
    recordAfter(done({ ...drain('a'), timeout_ms: 60_000, on_timeout: onTimeout }));
  const end = (record: IntentRecord, witnesses: Witnesses, at = NOW) =>
    advanceOperations('shop', record, () => target, witnesses, at);
  const late = NOW + 60_000;

  test('goes on while something is open', () => {
    expect(end(started(), seen(1))).toBeNull();
  });
  test('drained with proof', () => {
    const after = end(started(), seen(0));
    expect(after?.ops).toMatchObject([{ result: 'drained' }]);
    expect(after?.instances.a?.state).toBe('draining');
  });
  test.each<['wait' | 'cut' | 'undrain', Witnesses, string, string | undefined]>([
    ['wait', seen(3), 'timed_out', 'draining'],
    ['wait', silentInRoster(), 'unproven', 'draining'],
    ['cut', seen(3), 'cut', 'cut'],
    ['undrain', seen(3), 'undrained', undefined],
  ])('at its deadline with on_timeout %s', (onTimeout, witnesses, result, stateAfter) => {
    const after = end(started(onTimeout), witnesses, late);
    expect(after?.ops[0]?.result).toBe(result);
    expect(after?.instances.a?.state).toBe(stateAfter);
    if (result !== 'unproven') expect(after?.ops[0]?.left).toEqual({ a: 3 });
    expect(after?.ops[0]?.waited_for?.length).toBeGreaterThan(0);
  });
  test('an unproven drain that is proven later becomes drained', () => {
    const unproven = end(started(), silentInRoster(), late);
    expect(unproven && end(unproven, silentInRoster(), late + 1)).toBeNull();
    const after = unproven && end(unproven, seen(0), late + 1);
    expect(after?.ops).toMatchObject([{ result: 'drained' }]);
    expect(after?.ops[0]?.waited_for).toBeUndefined();
  });
  test('a deadline that passed while nobody listened waits until everybody could be heard', () => {
    const learning = { ...seen(3), learning: true };
    expect(end(started('undrain'), learning, late)).toBeNull();
    expect(end(started('undrain'), { ...seen(0), learning: true }, late)?.ops[0]?.result).toBe('drained');
    expect(end(started('undrain'), learning, late + 60_000)?.ops[0]?.result).toBe('undrained');
  });
  test('superseded when its instance is taken away', () => {
    const undrained = recordAfter(
      done({ kind: 'undrain', selector: { service: 'shop', ids: ['a'] } }, state({ shop: started() })),
    );
    expect(end(undrained, seen(0))?.ops).toMatchObject([{ result: 'superseded' }]);
  });
  test('cancelled by a person, and given back', () => {
    const after = recordAfter(done({ kind: 'cancel_operation', id: 'op-1' }, state({ shop: started() })));
    expect(after.ops).toMatchObject([{ result: 'cancelled' }]);
    expect(after.instances).toEqual({});
    expect(refused({ kind: 'cancel_operation', id: 'op-1' }, state({ shop: after })).code).toBe('conflict');
    expect(refused({ kind: 'cancel_operation', id: 'op-9' }).code).toBe('not_found');
  });
  test('an intent that expires is cleared, with a trace', () => {
    const wanted = recordAfter(
      done({ kind: 'isolate', selector: { service: 'shop', ids: ['a'] } }, state(), { expires_ms: 1_000 }),
    );
    expect(expireIntents(wanted, NOW + 999)).toBeNull();
    expect(expireIntents(wanted, NOW + 1_000)).toMatchObject({
      instances: {},
      events: [{}, { event: 'expired', instance: 'a' }],
    });
  });
});

test('the expiry of a drain leaves a weight that was wanted beside it', () => {
  const weighted = recordAfter(done({ kind: 'set_weights', service: 'shop', weights: { a: 5 } }));
  const drained = recordAfter(done(drain('a'), state({ shop: weighted }), { expires_ms: 1_000 }));
  expect(expireIntents(drained, NOW + 1_000)?.instances).toMatchObject({ a: { weight: 5 } });
  const { set } = compileService('shop', members(), drained, NOW + 1_000);
  expect(set.peers[0]).toMatchObject({ id: 'a', state: 'up', weight: 5 });
});

test('a decision names the services it is about, changed or not', () => {
  expect(done({ kind: 'undrain', selector: { service: 'shop', ids: ['a'] } }).services).toEqual(['shop']);
  const key = { idempotency_key: 'k' };
  const from = state({ shop: recordAfter(done(drain('a'), state(), key)) });
  expect(done(drain('a'), from, key).services).toEqual(['shop']);
});

test('names that every object has are names like others', () => {
  const registration = buildRegistration({ id: 'constructor', version: 'constructor' });
  const one: Member = { registration, presence: 'present', since: 0, vanished_at: null };
  const record = { ...NO_INTENT, versions: { v1: 100 } };
  const { set } = compileService('shop', new Map([['constructor', one]]), record, NOW);
  expect(set.peers).toMatchObject([{ state: 'up', weight: 0 }]);
  const from = { ...state(), membership: new Map([['shop', new Map([['constructor', one]])]]) };
  const after = recordAfter(
    done({ kind: 'isolate', selector: { version: 'constructor' } }, from, { force: true, reason: 'x' }),
  );
  expect(Object.keys(after.instances)).toEqual(['constructor']);
  expect(after.instances['constructor']).toMatchObject({ state: 'isolated', by: 'ann' });
});

test('history never grows past what can be read back', () => {
  const after = recordAfter(done(drain('a'), state(), { reason: 'x'.repeat(9_000) }));
  expect(after.events[0]?.message.length).toBeLessThanOrEqual(1_000);
});

test('property: whatever is asked for without force, capacity never shrinks below the floor', () => {
  const id = fc.constantFrom('a', 'b', 'c');
  const ids = fc.uniqueArray(id, { minLength: 1 });
  const anyMutation: fc.Arbitrary<ServiceMutation> = fc.oneof(
    ids.map((some) => drain(...some)),
    fc
      .tuple(fc.constantFrom('undrain' as const, 'isolate' as const, 'restore' as const), ids)
      .map(([kind, some]) => {
        return { kind, selector: { service: 'shop', ids: some } };
      }),
    fc.tuple(id, fc.option(fc.integer({ min: 0, max: 3 }))).map(([one, weight]): ServiceMutation => {
      return { kind: 'set_weights', service: 'shop', weights: { [one]: weight } };
    }),
    fc.constantFrom(0, 20, 100).map((v1): ServiceMutation => {
      return { kind: 'set_versions', service: 'shop', versions: { v1, v2: 100 - v1 } };
    }),
    fc.integer({ min: 0, max: 3 }).map((min_available): ServiceMutation => {
      return { kind: 'patch_spec', service: 'shop', spec: { min_available } };
    }),
  );
  fc.assert(
    fc.property(fc.array(anyMutation, { maxLength: 15 }), (mutations) => {
      let record = NO_INTENT;
      for (const mutation of mutations) {
        const before = countEligible(compileService('shop', members(), record, NOW).set);
        const decided = decide(mutation, CONTEXT, state({ shop: record }));
        if (!decided.ok) continue;
        record = decided.value.records.get('shop') ?? record;
        const after = countEligible(compileService('shop', members(), record, NOW).set);
        const floor = Math.max(1, record.spec.min_available ?? 1);
        if (after < before) expect(after).toBeGreaterThanOrEqual(floor);
        expect(after).toBeGreaterThanOrEqual(1);
      }
    }),
  );
});
