import supertest from 'supertest';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { PROBLEMS, type ProblemCode } from '../model/problem.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { ended, makeGateway, makeOperation, makeProblem, makeReadiness, AT } from '../testing/resources.js';
import { createApp } from './app.js';
import * as mutation from './schema/mutation.js';
import * as ready from './schema/readiness.js';
import * as resource from './schema/resources.js';

const INSTANCE = '/v1/services/shop/instances/10.0.1.7:8080';
let plane: MemoryPlane;
let closing: AbortController;

function client(token: string | null = null, metrics = () => Promise.resolve('up 1\n')) {
  let ids = 0;
  const app = createApp({
    plane,
    log: createRecordingLog(),
    token,
    clock: systemClock,
    version: '9.9.9',
    randomId: () => `id-${String(++ids)}`,
    metrics,
    closing: closing.signal,
  });
  return supertest(app);
}

beforeEach(() => {
  closing = new AbortController();
  plane = new MemoryPlane().add('shop', ['10.0.1.7:8080', '10.0.1.8:8080']);
});

/** Every problem has every member, and says what `expected` says. */
function expectProblem(
  response: supertest.Response,
  code: ProblemCode,
  expected: { readonly field?: string; readonly detail?: RegExp | string } = {},
): void {
  expect(response.body).toMatchObject({ code });
  expect(response.status).toBe(PROBLEMS[code].status);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(mutation.problem.parse(response.body)).toMatchObject({
    type: `urn:ebbgate:problem:${code}`,
    title: PROBLEMS[code].title,
    request_id: response.headers['x-request-id'],
  });
  if (expected.field !== undefined) expect(response.body.field).toBe(expected.field);
  if (expected.detail) expect(response.body.detail).toMatch(expected.detail);
}

describe('reads', () => {
  beforeEach(() => {
    plane.operationMap.set('op-1', ended(makeOperation(), 'drained'));
    plane.gatewayList = [makeGateway()];
    plane.eventMap.set('shop', [{ at: AT, event: 'registered', by: 'controller', message: 'it came' }]);
    plane.problemList = [makeProblem(), makeProblem({ service: null })];
    plane.intentList = [
      {
        service: 'shop',
        instance: 'a',
        kind: 'weight',
        value: '5',
        by: 'x',
        reason: '',
        since: AT,
        until: null,
      },
    ];
    plane.convergenceMap.set('shop', {
      service: 'shop',
      target: { epoch: 7, generation: 12 },
      converged: true,
      gateways: [{ id: 'gw-a', applied: { epoch: 7, generation: 12 }, state: 'acked' }],
    });
    plane.setMap.set('@routes', {
      service: '@routes',
      epoch: 7,
      generation: 3,
      hash: 'ab',
      at: AT,
      document: { v: 1, service: '@routes', routes: [{ host: '*', path: '/', service: 'shop' }] },
    });
  });

  it.each([
    ['/v1/services', resource.services],
    ['/v1/services/shop', resource.service],
    ['/v1/services/shop/instances', resource.instances],
    [INSTANCE, resource.instance],
    ['/v1/services/@routes/set', resource.set],
    ['/v1/services/shop/convergence', resource.convergence],
    ['/v1/services/shop/events', resource.events],
    ['/v1/operations', resource.operations],
    ['/v1/operations/op-1', resource.operation],
    ['/v1/intents', resource.intents],
    ['/v1/problems', resource.standingProblems],
    ['/v1/gateways', resource.gateways],
    ['/v1/gateways/gw-a', resource.gateway],
    ['/livez', ready.liveness],
    ['/readyz', ready.readiness],
  ])('%s answers what its schema says', async (path, schema) => {
    const response = await client().get(path).expect(200);
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.headers['cache-control']).toBe('no-store');
    expect(schema.parse(response.body)).toEqual(response.body);
  });

  it.each([
    '/v1/services/nope',
    '/v1/services/nope/instances',
    '/v1/services/shop/instances/nope',
    '/v1/services/shop/set',
    '/v1/services/nope/convergence',
    '/v1/services/nope/events',
    '/v1/operations/nope',
    '/v1/gateways/nope',
    '/v1/nope',
    '/V1/services',
    '/v1/services/',
  ])('%s is not found', async (path) => {
    expectProblem(await client().get(path), 'not_found');
  });

  it('lists the problems of one service, or refuses a name that no service has', async () => {
    const answer = await client().get('/v1/problems?service=shop').expect(200);
    expect(answer.body.items).toMatchObject([{ code: 'bad_json', service: 'shop' }]);
    expect((await client().get('/v1/problems?service=cart').expect(200)).body).toEqual({ items: [] });
    expectProblem(await client().get('/v1/problems?service=my%20shop'), 'invalid_request', {
      field: 'query.service',
    });
  });

  it('refuses to show a registry that was never seen whole', async () => {
    plane.view = false;
    for (const path of ['/v1/services', INSTANCE, '/v1/operations', '/v1/gateways']) {
      const response = await client().get(path);
      expectProblem(response, 'not_ready');
      expect(response.headers['retry-after']).toBe('1');
    }
    await client().get('/livez').expect(200);
  });

  const DOWN = { state: 'down', since: AT, detail: 'refused', stale_since: AT } as const;

  it('says in every answer that shows the registry since when a store is not answering', async () => {
    const stale = async (path: string): Promise<unknown> =>
      (await client().get(path)).headers['x-ebbgate-stale'];
    expect(await stale('/v1/services')).toBeUndefined();
    plane.ready = makeReadiness({ zookeeper: DOWN });
    expect(await stale('/v1/services')).toBe(`zookeeper=${AT}`);
    plane.ready = makeReadiness({ zookeeper: DOWN, redis: DOWN });
    for (const path of ['/v1/services/shop', '/v1/services/shop/instances', '/v1/intents', '/v1/gateways'])
      expect(await stale(path)).toBe(`zookeeper=${AT}, redis=${AT}`);
    // A store that refuses writes still answers reads.
    const refusing = {
      state: 'degraded',
      since: AT,
      detail: 'refuses writes: OOM',
      stale_since: null,
    } as const;
    plane.ready = makeReadiness({ redis: refusing });
    expect(await stale('/v1/services')).toBeUndefined();
  });

  it('says in /readyz what is missing', async () => {
    plane.ready = makeReadiness({ ready: false, redis: DOWN });
    const response = await client().get('/readyz').expect(503);
    expect(response.body).toEqual(plane.ready);
  });

  it('passes the metrics on as text', async () => {
    const response = await client().get('/metrics').expect(200, 'up 1\n');
    expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('gives a service and its instances the quoted etag, which is no cache validator', async () => {
    for (const path of ['/v1/services/shop', INSTANCE]) {
      const response = await client().get(path).set('If-None-Match', '"17-3"').expect(200);
      expect(response.headers['etag']).toBe('"17-3"');
    }
    plane.serviceMap.set('shop', { ...plane.serviceMap.get('shop')!, etag: null });
    expect((await client().get(INSTANCE)).headers['etag']).toBe('"0"');
  });
});

describe('waits', () => {
  it('ends as soon as the operation is done', async () => {
    plane.operationMap.set('op-1', makeOperation());
    const answer = client()
      .get('/v1/operations/op-1?wait=60s')
      .then((response) => response);
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(1);
    plane.change((p) => p.operationMap.set('op-1', makeOperation({ published: false })));
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(1);
    plane.change((p) => p.operationMap.set('op-1', ended(makeOperation(), 'drained')));
    expect((await answer).body).toMatchObject({ state: 'done', result: 'drained' });
    expect(plane.waiting).toBe(0);
  });

  it('answers the present state when the time is over', async () => {
    plane.operationMap.set('op-1', makeOperation());
    const response = await client().get('/v1/operations/op-1?wait=20ms').expect(200);
    expect(response.body.state).toBe('running');
    expect(plane.waiting).toBe(0);
  });

  it('ends when the client goes away', async () => {
    plane.operationMap.set('op-1', makeOperation());
    const asked = client().get('/v1/operations/op-1?wait=60s');
    const outcome = asked.then(
      () => 'answered',
      () => 'aborted',
    );
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(1);
    asked.abort();
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(0);
    void outcome;
  });

  it('answers 404 when what it waits for goes away', async () => {
    plane.operationMap.set('op-1', makeOperation());
    const answer = client()
      .get('/v1/operations/op-1?wait=60s')
      .then((response) => response);
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(1);
    plane.change((p) => {
      p.operationMap.clear();
    });
    expectProblem(await answer, 'not_found');
  });

  it.each(['61s', '1', 's', '-1s', '1s&wait=2s', ''])('refuses wait=%s', async (wait) => {
    expectProblem(await client().get(`/v1/operations/op-1?wait=${wait}`), 'invalid_request', {
      field: 'query.wait',
    });
  });
});

describe('mutations', () => {
  it('hands a drain to the plane with all its circumstances, and answers 202 with a Location', async () => {
    const response = await client()
      .post(`${INSTANCE}/drain`)
      .set({ 'Idempotency-Key': 'k-1', 'If-Match': '"17-3"', 'X-Ebbgate-Actor': 'ann' })
      .send({ timeout: '90s', on_timeout: 'cut', reason: 'kernel', expires: '2h', force: true })
      .expect(202);
    expect(response.headers['location']).toBe('/v1/operations/op-1');
    expect(response.headers['etag']).toBe('"17-4"');
    expect(mutation.mutation.parse(response.body)).toEqual(response.body);
    expect(plane.mutated).toEqual([
      {
        mutation: {
          kind: 'drain',
          selector: { service: 'shop', ids: ['10.0.1.7:8080'] },
          timeout_ms: 90_000,
          on_timeout: 'cut',
        },
        context: {
          by: 'ann',
          reason: 'kernel',
          dry_run: false,
          force: true,
          if_match: '17-3',
          idempotency_key: 'k-1',
          expires_ms: 7_200_000,
        },
      },
    ]);
  });

  it('answers a dry run with 200 and no Location', async () => {
    const response = await client().post(`${INSTANCE}/drain?dry_run=true`).expect(200);
    expect(response.headers['location']).toBeUndefined();
    expect(plane.mutated[0]!.context.dry_run).toBe(true);
    expect(plane.operations()).toEqual([]);
  });

  it.each([
    ['drain', {}, { kind: 'drain', timeout_ms: null, on_timeout: 'wait' }],
    ['undrain', { reason: 'done' }, { kind: 'undrain' }],
    ['isolate', { expires: '5m' }, { kind: 'isolate' }],
    ['restore', undefined, { kind: 'restore' }],
  ])('%s works on one instance and on a selector', async (verb, body, mutation) => {
    await client()
      .post(`${INSTANCE}/${verb}`)
      .send(body)
      .expect(verb === 'drain' ? 202 : 200);
    await client()
      .post(`/v1/${verb}s`)
      .send({ ...body, selector: { version: 'v1', host: '10.0.1.7' } })
      .expect(verb === 'drain' ? 202 : 200);
    expect(plane.mutated.map((call) => call.mutation)).toEqual([
      { ...mutation, selector: { service: 'shop', ids: ['10.0.1.7:8080'] } },
      { ...mutation, selector: { version: 'v1', host: '10.0.1.7' } },
    ]);
  });

  it('hands every member of the spec on, nulls too', async () => {
    const spec = {
      balancer: { algorithm: 'consistent_hash', hash_on: { source: 'header', name: 'x-user' }, sticky: null },
      timeouts: { try_ms: 0, total_ms: 15_000 },
      retry: { on: 'gateway_error', non_idempotent: null, budget_percent: 100 },
      health: {
        ...{ fail_statuses: [500], slow_start_ms: 30_000 },
        check: { type: 'tcp', interval_ms: null, statuses: [[200, 204]] },
      },
      upstream: { scheme: 'https', tls: 'inside' },
    };
    await client().patch('/v1/services/shop').set('If-Match', '*').send(spec).expect(200);
    expect(plane.mutated[0]?.mutation).toEqual({ kind: 'patch_spec', service: 'shop', spec });
  });

  it('makes an instance a backup, alone or with a weight, and gives the role back', async () => {
    const send = (body: object) => client().patch(INSTANCE).set('If-Match', '*').send(body).expect(200);
    await send({ backup: true, reason: 'spare' });
    await send({ backup: null, weight: 7 });
    expect(plane.mutated.map((call) => call.mutation)).toEqual([
      { kind: 'set_weights', service: 'shop', weights: {}, backups: { '10.0.1.7:8080': true } },
      {
        kind: 'set_weights',
        service: 'shop',
        weights: { '10.0.1.7:8080': 7 },
        backups: { '10.0.1.7:8080': null },
      },
    ]);
  });

  it('drains that keep sticky clients', async () => {
    await client().post(`${INSTANCE}/drain`).send({ keep_sticky: '10m' }).expect(202);
    await client()
      .post('/v1/drains')
      .send({ selector: { version: 'v1' }, keep_sticky: '1h', timeout: '2h' })
      .expect(202);
    await client().post(`${INSTANCE}/drain`).send({ keep_sticky: null }).expect(202);
    expect(plane.mutated.map(({ mutation }) => mutation)).toMatchObject([
      { keep_sticky_ms: 600_000 },
      { keep_sticky_ms: 3_600_000, timeout_ms: 7_200_000 },
      {},
    ]);
    expect(plane.mutated[2]?.mutation).not.toHaveProperty('keep_sticky_ms');
  });

  it('sets weights, shares and the spec', async () => {
    const send = (path: string, body: object) =>
      client().patch(path).set('If-Match', '*').send(body).expect(200);
    await send(INSTANCE, { weight: null, reason: 'back' });
    await send('/v1/services/shop/weights?reason=slow&dry_run=false', { '10.0.1.7:8080': 5, b: null });
    await send('/v1/services/shop/versions?force=true&reason=now', { v2: 20, v1: 80 });
    await send('/v1/services/shop/versions', {});
    await send('/v1/services/shop', {
      routes: [{ path: '/' }, { host: '*.example.com', path: '/api/x' }],
      timeouts: { connect_ms: 5 },
      retry: null,
      reason: 'why not',
    });
    expect(plane.mutated.map((call) => call.mutation)).toEqual([
      { kind: 'set_weights', service: 'shop', weights: { '10.0.1.7:8080': null } },
      { kind: 'set_weights', service: 'shop', weights: { '10.0.1.7:8080': 5, b: null } },
      { kind: 'set_versions', service: 'shop', versions: { v2: 20, v1: 80 } },
      { kind: 'set_versions', service: 'shop', versions: {} },
      {
        kind: 'patch_spec',
        service: 'shop',
        spec: {
          routes: [
            { host: '*', path: '/' },
            { host: '*.example.com', path: '/api/x' },
          ],
          timeouts: { connect_ms: 5 },
          retry: null,
        },
      },
    ]);
    expect(plane.mutated.map((call) => call.context.reason)).toEqual(['back', 'slow', 'now', '', 'why not']);
    expect(plane.mutated[2]!.context.force).toBe(true);
  });

  it('cancels operations, forgets gateways and lets them leave', async () => {
    plane.operationMap.set('op-1', makeOperation());
    await client().post('/v1/operations/op-1/cancel').expect(200);
    await client().post('/v1/gateways/gw-a/forget').send({ reason: 'burnt' }).expect(200);
    await client().post('/v1/gateways/gw-a/leave').expect(200);
    await client().post('/v1/gateways/gw-new/join').expect(200);
    await client().post('/v1/gateways/forgets').send({ never_heard: true, reason: 'made up' }).expect(200);
    await client()
      .post('/v1/gateways/forgets')
      .send({ gateways: ['gw-a', 'gw-b'], reason: 'burnt' })
      .expect(200);
    expect(plane.mutated.map((call) => call.mutation)).toEqual([
      { kind: 'cancel_operation', id: 'op-1' },
      { kind: 'forget_gateway', gateway: 'gw-a' },
      { kind: 'leave_gateway', gateway: 'gw-a' },
      { kind: 'join_gateway', gateway: 'gw-new' },
      { kind: 'forget_gateways', gateways: [], never_heard: true },
      { kind: 'forget_gateways', gateways: ['gw-a', 'gw-b'], never_heard: false },
    ]);
    expectProblem(await client().post('/v1/gateways/gw-a/forget'), 'invalid_request', {
      field: 'body.reason',
      detail: /is missing/,
    });
  });

  it('needs If-Match on PATCH and refuses a stale or a malformed one', async () => {
    const patch = (etag: string) => client().patch(INSTANCE).set('If-Match', etag).send({ weight: 1 });
    expectProblem(await client().patch(INSTANCE).send({ weight: 1 }), 'precondition_required', {
      field: 'header.if-match',
    });
    expectProblem(await patch('"17-2"'), 'precondition_failed');
    for (const bad of ['17-3', 'W/"17-3"', '"17-3", "17-4"', '""'])
      expectProblem(await patch(bad), 'invalid_request', { field: 'header.if-match' });
    await patch('"17-3"').expect(200);
    await patch('*').expect(200);
  });

  it('refuses an unfit Idempotency-Key and one that was used for something else', async () => {
    const post = (verb: string, key: string) =>
      client().post(`${INSTANCE}/${verb}`).set('Idempotency-Key', key);
    for (const bad of ['a b', 'x'.repeat(256)])
      expectProblem(await post('drain', bad), 'invalid_request', { field: 'header.idempotency-key' });
    const first = await post('drain', 'k').expect(202);
    const again = await post('drain', 'k').expect(202);
    expect(again.body).toEqual(first.body);
    expectProblem(await post('isolate', 'k'), 'idempotency_conflict');
  });

  it('passes a refusal on with its guards and blockers', async () => {
    const guard = {
      guard: 'min_available',
      service: 'shop',
      would_leave: 0,
      needed: 1,
      message: 'm',
    } as const;
    plane.refusal = { code: 'guard_refused', detail: 'no', guards: [guard], blockers: ['b'] };
    const response = await client().post(`${INSTANCE}/drain`);
    expectProblem(response, 'guard_refused');
    expect(response.body).toMatchObject({
      guard,
      guards: [guard],
      blockers: ['b'],
      instance: `${INSTANCE}/drain`,
    });
  });

  it('needs a reason to force', async () => {
    expectProblem(await client().post(`${INSTANCE}/drain`).send({ force: true }), 'invalid_request', {
      field: 'body.reason',
    });
    expectProblem(
      await client().patch('/v1/services/shop/versions?force=true').set('If-Match', '*').send({ v1: 100 }),
      'invalid_request',
      { field: 'query.reason' },
    );
    expect(plane.mutated).toEqual([]);
  });
});

describe('inputs', () => {
  const patches: readonly [string, object | string, string, RegExp][] = [
    [INSTANCE, {}, 'body', /needs weight or backup/],
    [INSTANCE, { weight: 10_001 }, 'body.weight', /at most 10000/],
    [INSTANCE, { weight: 1.5 }, 'body.weight', /whole number/],
    [INSTANCE, { weight: '5' }, 'body.weight', /number/],
    [INSTANCE, { weight: 5, wieght: 6 }, 'body.wieght', /not known.*known: weight, /],
    [INSTANCE, { weight: 5, expires: '2 days' }, 'body.expires', /whole number and a unit/],
    [INSTANCE, { weight: 5, reason: 'a\nb' }, 'body.reason', /one line/],
    ['/v1/services/shop', { routes: [{ host: 'a..b', path: '/' }] }, 'body.routes.0.host', /empty label/],
    [INSTANCE, [], 'body', /object/],
    [INSTANCE, '{"weight":', 'body', /not JSON/],
    [INSTANCE, '"5"', 'body', /not JSON/],
    ['/v1/services/shop/weights', {}, 'body', /names no instance/],
    ['/v1/services/shop/weights', { 'a b': 1 }, 'body.a b', /valid name/],
    ['/v1/services/shop/weights', '{"__proto__":1}', 'body', /__proto__/],
    ['/v1/services/shop/versions', { v1: 60, v2: 60 }, 'body', /sum to 100 \(they sum to 120\)/],
    ['/v1/services/shop', { routes: [{ path: '/a/' }] }, 'body.routes.0.path', /not end with/],
    ['/v1/services/shop', { routes: [{ path: '/a/../b' }] }, 'body.routes.0.path', /segments/],
    ['/v1/services/shop', { routes: [{ path: '/a', hots: 'x' }] }, 'body.routes.0.hots', /known: host, path/],
    ['/v1/services/shop', { routes: [{ host: 'A.b', path: '/' }] }, 'body.routes.0.host', /lower case/],
    ['/v1/services/shop', { routes: [{ path: '/' }, { path: '/' }] }, 'body.routes', /twice/],
    [
      '/v1/services/shop',
      { balancer: { algorithm: 'best' } },
      'body.balancer.algorithm',
      /weighted_round_robin/,
    ],
    ['/v1/services/shop', { retry: { tries: 0 } }, 'body.retry.tries', /at least 1/],
    ['/v1/services/shop', { retry: { on: 'always' } }, 'body.retry.on', /"gateway_error"/],
    ['/v1/services/shop', { retry: { time: 1 } }, 'body.retry.time', /known: tries, on/],
    [
      '/v1/services/shop',
      { health: { check: { rises: 1 } } },
      'body.health.check.rises',
      /known: type, path/,
    ],
    ['/v1/services/shop', { health: { check: { path: 'x' } } }, 'body.health.check.path', /starts with \//],
    [
      '/v1/services/shop',
      { health: { check: { statuses: [[300, 200]] } } },
      'body.health.check.statuses.0',
      /from ≤ to/,
    ],
    [
      '/v1/services/shop',
      { balancer: { sticky: { cookie: 'a;b' } } },
      'body.balancer.sticky.cookie',
      /token/,
    ],
    ['/v1/services/shop', { timeouts: { total_ms: -1 } }, 'body.timeouts.total_ms', /at least 0/],
    ['/v1/services/shop', { upstream: { tls: '../x' } }, 'body.upstream.tls', /TLS profile/],
    [INSTANCE, { backup: 'yes' }, 'body.backup', /boolean/],
    ['/v1/services/BAD', {}, 'path.service', /must be 1 to 128/],
    [`${INSTANCE}?dryrun=true`, { weight: 1 }, 'query.dryrun', /known: dry_run/],
    [`${INSTANCE}?dry_run=yes`, { weight: 1 }, 'query.dry_run', /true/],
  ];
  it.each(patches)('PATCH %s refuses %j at %s', async (path, body, field, detail) => {
    const response = await client()
      .patch(path)
      .set({ 'If-Match': '*', 'Content-Type': 'application/json' })
      .send(typeof body === 'string' ? body : JSON.stringify(body));
    expectProblem(response, 'invalid_request', { field, detail });
    expect(plane.mutated).toEqual([]);
  });

  it.each([
    [{}, 'body.selector', /missing/],
    [{ selector: {} }, 'body.selector', /at least one of ids, version, host, zone/],
    [{ selector: { ids: ['a'] } }, 'body.selector.service', /needed with ids/],
    [{ selector: { service: 'shop', vers: 'v1' } }, 'body.selector.vers', /known: service, ids, version/],
    [{ selector: { zone: 'a' }, on_timeout: 'kill' }, 'body.on_timeout', /"wait" or "cut" or "undrain"/],
    [{ selector: { zone: 'a' }, timeout: '8d' }, 'body.timeout', /1ms to 7d/],
    [{ selector: { zone: 'a' }, timeout: 5 }, 'body.timeout', /string/],
  ])('POST /v1/drains refuses %j at %s', async (body, field, detail) => {
    expectProblem(await client().post('/v1/drains').send(body), 'invalid_request', { field, detail });
  });

  it('names every fault at once', async () => {
    const response = await client()
      .post('/v1/drains')
      .send({ selector: { zone: '/' }, timeout: 'x', foo: 1 });
    expect(response.body.detail).toMatch(/body\.selector\.zone.*body\.timeout.*body\.foo/);
  });

  it('reads merge patches, and refuses other types, compressed and huge bodies', async () => {
    const patch = (type: string) => client().patch(INSTANCE).set({ 'If-Match': '*', 'Content-Type': type });
    await patch('application/merge-patch+json').send('{"weight":1}').expect(200);
    expectProblem(await patch('text/plain').send('{"weight":1}'), 'unsupported_media_type');
    expectProblem(
      await patch('application/json').set('Content-Encoding', 'gzip').send('{"weight":1}'),
      'unsupported_media_type',
    );
    const huge = JSON.stringify({ weight: 1, reason: 'x'.repeat(256 * 1024) });
    expectProblem(await patch('application/json').send(huge), 'too_large');
  });

  it('says which methods a path takes', async () => {
    const put = await client().put('/v1/services/shop').send({});
    expectProblem(put, 'method_not_allowed');
    expect(put.headers['allow']).toBe('GET, HEAD, PATCH');
    const get = await client().get(`${INSTANCE}/drain`);
    expectProblem(get, 'method_not_allowed');
    expect(get.headers['allow']).toBe('POST');
    await client().head('/v1/services/shop').expect(200);
  });

  it('refuses a path that cannot be decoded', async () => {
    expectProblem(await client().get('/v1/services/%zz'), 'invalid_request');
  });

  it('takes a valid request id over and makes one otherwise', async () => {
    const given = await client().get('/livez').set('X-Request-Id', 'abc-1.2_3');
    expect(given.headers['x-request-id']).toBe('abc-1.2_3');
    const made = await client().get('/livez').set('X-Request-Id', 'a b');
    expect(made.headers['x-request-id']).toBe('id-1');
    const refused = await client().get('/v1/services').set('X-Request-Id', 'a b');
    expectProblem(refused, 'invalid_request', {
      field: 'header.x-request-id',
      detail: 'U+0020',
    });
    expect(refused.headers['x-request-id']).toBe('id-1');
  });

  it('hides what failed, but logs it', async () => {
    const log = createRecordingLog();
    const app = createApp({
      plane,
      log,
      token: null,
      clock: systemClock,
      version: '1',
      randomId: () => 'r',
      metrics: () => Promise.reject(new Error('secret')),
      closing: closing.signal,
    });
    const response = await supertest(app).get('/metrics');
    expectProblem(response, 'internal');
    expect(JSON.stringify(response.body)).not.toContain('secret');
    expect(log.lines).toMatchObject([{ level: 'error', fields: { request_id: 'r', code: 'internal' } }]);
  });
});

describe('the log', () => {
  it('logs of a mutation who, what, why, before and after, and by which ids', async () => {
    const log = createRecordingLog();
    const app = createApp({
      ...{ plane, log, token: null, clock: systemClock, version: '1', randomId: () => 'req-1' },
      ...{ metrics: () => Promise.resolve(''), closing: closing.signal },
    });
    const headers = { 'X-Ebbgate-Actor': 'job/42', 'Idempotency-Key': 'k-9' };
    const drained = await supertest(app).post(`${INSTANCE}/drain`).set(headers).send({ reason: 'kernel' });
    expect(drained.status).toBe(202);
    const [line] = log.lines.filter(({ message }) => message === 'mutated');
    expect(line?.fields).toMatchObject({
      ...{ request_id: 'req-1', by: 'job/42', idempotency_key: 'k-9', verb: 'drain', reason: 'kernel' },
      selector: { service: 'shop', ids: ['10.0.1.7:8080'] },
      changes: expect.arrayContaining([expect.stringMatching(/^shop\/\S+ \w+: \S+ → \S+$/)]) as string[],
      operation: 'op-1',
    });
  });
});

describe('who may ask', () => {
  it('asks for the token everywhere but in the probes', async () => {
    const guarded = client('s3cret');
    for (const path of ['/v1/services', '/metrics', '/openapi.json', '/nope']) {
      const response = await guarded.get(path);
      expectProblem(response, 'unauthorized');
      expect(response.headers['www-authenticate']).toBe('Bearer realm="ebbgate"');
    }
    for (const wrong of ['Bearer s3cre', 'Bearer s3cret2', 'Basic s3cret', 'Bearer'])
      expectProblem(await guarded.get('/v1/services').set('Authorization', wrong), 'unauthorized');
    await guarded.get('/v1/services').set('Authorization', 'Bearer s3cret').expect(200);
    await guarded.get('/livez').expect(200);
    await guarded.get('/readyz').expect(200);
  });

  it('with a token answers under any name', async () => {
    await client('t').get('/v1/services').set({ Authorization: 'Bearer t', Host: 'ebb.example' }).expect(200);
  });

  it.each(['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:80', '10.0.0.1', '[::2]:80'])(
    'without a token refuses the name %s',
    async (host) => {
      expectProblem(await client().get('/v1/services').set('Host', host), 'forbidden', {
        field: 'header.host',
      });
    },
  );

  it.each(['localhost', 'LOCALHOST:8090', '127.0.0.1:8090', '127.1.2.3', '[::1]:8090'])(
    'without a token answers to the name %s',
    async (host) => {
      await client().get('/v1/services').set('Host', host).expect(200);
    },
  );

  it('without a token refuses web pages of another origin', async () => {
    const post = (origin: string) =>
      client().post(`${INSTANCE}/isolate`).set({ Host: 'localhost:8090', Origin: origin });
    for (const origin of ['https://evil.example', 'null', 'http://localhost:3000'])
      expectProblem(await post(origin), 'forbidden', { field: 'header.origin' });
    await post('http://localhost:8090').expect(200);
    expect(plane.mutated).toHaveLength(1);
  });

  it.each([
    ['ann@example.org', null, 'ann@example.org'],
    ['job/42', null, 'job/42'],
    ['ci:deploy.7+rerun', null, 'ci:deploy.7+rerun'],
    [undefined, null, 'local'],
    [undefined, 't', 'token'],
    ['bob', 't', 'bob'],
  ])('calls the actor %s with token %s: %s', async (given, token, by) => {
    const post = client(token).post(`${INSTANCE}/undrain`);
    if (given !== undefined) void post.set('X-Ebbgate-Actor', given);
    if (token !== null) void post.set('Authorization', `Bearer ${token}`);
    await post.expect(200);
    expect(plane.mutated[0]!.context.by).toBe(by);
  });

  it.each([
    ['a b', 'U+0020'],
    ['ann, bob', '","'],
    ['\u00e4nn', 'U+00E4'],
    ['-ann', 'starting with'],
    ['a'.repeat(129), '1 to 128'],
    ['controller', 'must not be controller'],
    ['registry', 'must not be'],
  ])('refuses the actor %s by name', async (given, why) => {
    const refused = await client().post(`${INSTANCE}/undrain`).set('X-Ebbgate-Actor', given);
    expectProblem(refused, 'invalid_request', { field: 'header.x-ebbgate-actor', detail: why });
    expect(plane.mutated).toEqual([]);
  });
});

describe('texts', () => {
  it.each([
    ['a reason', `${INSTANCE}/drain`, { reason: 'a\u202eb' }, 'body.reason', 'U+202E'],
    ['a line end in a reason', `${INSTANCE}/drain`, { reason: 'a\nb' }, 'body.reason', 'U+000A'],
    ['NEL', `${INSTANCE}/isolate`, { reason: 'a\u0085b' }, 'body.reason', 'U+0085'],
    ['half a character', '/v1/freeze', { reason: 'a\ud83d' }, 'body.reason', 'U+D83D'],
    ['a host', '/v1/drains', { selector: { host: '10.0.1.7\u2028' } }, 'body.selector.host', 'U+2028'],
    [
      'an id',
      '/v1/drains',
      { selector: { service: 'shop', ids: ['a\u200bb'] } },
      'body.selector.ids.0',
      'U+200B',
    ],
    ['a member', `${INSTANCE}/drain`, { 'x\u202e': 1 }, 'body.x<U+202E>', 'U+202E'],
    ['a query in a query', `${INSTANCE}/drain?dry_run=%E2%80%AE`, {}, 'query.dry_run', 'U+202E'],
    ['a name in a path', '/v1/services/sh%E2%80%AEop/freeze', { reason: 'x' }, 'path.service', 'U+202E'],
  ])('with %s that people would read wrongly are refused', async (_name, path, body, field, character) => {
    expectProblem(await client().post(path).send(body), 'invalid_request', { field, detail: character });
    expect(plane.mutated).toEqual([]);
  });
});
