import { beforeEach, describe, expect, it } from 'vitest';
import { behind, client, expectProblem, INSTANCE, usePlane } from '../testing/api_rig.js';
import { AT, ended, makeGateway, makeOperation, makeProblem, makeReadiness } from '../testing/resources.js';
import * as ready from './schema/readiness.js';
import * as resource from './schema/resources.js';
import { routes, routeTest } from './schema/routes.js';
import * as sets from './schema/sets.js';

usePlane();

describe('reads', () => {
  beforeEach(() => {
    behind.plane.operationMap.set('op-1', ended(makeOperation(), 'drained'));
    behind.plane.gatewayList = [makeGateway()];
    behind.plane.eventMap.set('shop', [
      { at: AT, event: 'registered', by: 'controller', message: 'it came' },
    ]);
    behind.plane.problemList = [makeProblem(), makeProblem({ service: null })];
    behind.plane.intentList = [
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
    behind.plane.convergenceMap.set('shop', {
      service: 'shop',
      target: { epoch: 7, generation: 12 },
      converged: true,
      gateways: [{ id: 'gw-a', applied: { epoch: 7, generation: 12 }, state: 'acked' }],
    });
    behind.plane.setMap.set('@routes', {
      contract: 1,
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
    ['/v1/services/@routes/set', sets.set],
    ['/v1/services/shop/convergence', resource.convergence],
    ['/v1/services/shop/events', resource.events],
    ['/v1/operations', resource.operations],
    ['/v1/operations/op-1', resource.operation],
    ['/v1/intents', resource.intents],
    ['/v1/routes', routes],
    ['/v1/routes/test?url=/', routeTest],
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

  it('lists the routes of one service, and those that a host may take', async () => {
    const route = (host: string, service: string) => ({ host, path: '/', service, name: `${host}/` });
    behind.plane.routeList = [route('a.test', 'shop'), route('*.b.test', 'cart'), route('*', 'shop')];
    const hosts = async (query: string) => {
      const { body } = await client().get(`/v1/routes?${query}`).expect(200);
      return (body as { items: { host: string }[] }).items.map(({ host }) => host);
    };
    expect(await hosts('')).toEqual(['a.test', '*.b.test', '*']);
    expect(await hosts('service=cart')).toEqual(['*.b.test']);
    expect(await hosts('host=A.test')).toEqual(['a.test', '*']);
    expect(await hosts('host=x.b.test&service=cart')).toEqual(['*.b.test']);
    expect(await hosts('host=b.test')).toEqual(['*']);
  });

  it.each([
    ['url=/&header=x', 'query.header', /X-Beta: yes/],
    ['url=/&header=a:b&header=c', 'query.header', /./],
    ['url=/&client=10.0.0', 'query.client', /IP address/],
    ['url=/&method=get', 'query.method', /upper case/],
    ['', 'query.url', /./],
    ['url=/%25', 'query.url', /bad/],
  ])('refuses to test a route with %s', async (query, field, detail) => {
    const answer = await client().get(`/v1/routes/test?${query}`);
    expectProblem(answer, 'invalid_request');
    expect((answer.body as { field: string }).field.startsWith(field)).toBe(true);
    expect((answer.body as { detail: string }).detail).toMatch(detail);
  });

  it('refuses to show a registry that was never seen whole', async () => {
    behind.plane.view = false;
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
    behind.plane.ready = makeReadiness({ zookeeper: DOWN });
    expect(await stale('/v1/services')).toBe(`zookeeper=${AT}`);
    behind.plane.ready = makeReadiness({ zookeeper: DOWN, redis: DOWN });
    for (const path of ['/v1/services/shop', '/v1/services/shop/instances', '/v1/intents', '/v1/gateways'])
      expect(await stale(path)).toBe(`zookeeper=${AT}, redis=${AT}`);
    // A store that refuses writes still answers reads.
    const refusing = {
      state: 'degraded',
      since: AT,
      detail: 'refuses writes: OOM',
      stale_since: null,
    } as const;
    behind.plane.ready = makeReadiness({ redis: refusing });
    expect(await stale('/v1/services')).toBeUndefined();
  });

  it('says in /readyz what is missing', async () => {
    behind.plane.ready = makeReadiness({ ready: false, redis: DOWN });
    const response = await client().get('/readyz').expect(503);
    expect(response.body).toEqual(behind.plane.ready);
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
    behind.plane.serviceMap.set('shop', { ...behind.plane.serviceMap.get('shop')!, etag: null });
    expect((await client().get(INSTANCE)).headers['etag']).toBe('"0"');
  });
});

describe('waits', () => {
  it('ends as soon as the operation is done', async () => {
    behind.plane.operationMap.set('op-1', makeOperation());
    const answer = client()
      .get('/v1/operations/op-1?wait=60s')
      .then((response) => response);
    await expect.poll(() => behind.plane.waiting, { timeout: 15_000 }).toBe(1);
    behind.plane.change((p) => p.operationMap.set('op-1', makeOperation({ published: false })));
    await expect.poll(() => behind.plane.waiting, { timeout: 15_000 }).toBe(1);
    behind.plane.change((p) => p.operationMap.set('op-1', ended(makeOperation(), 'drained')));
    expect((await answer).body).toMatchObject({ state: 'done', result: 'drained' });
    expect(behind.plane.waiting).toBe(0);
  });

  it('answers the present state when the time is over', async () => {
    behind.plane.operationMap.set('op-1', makeOperation());
    const response = await client().get('/v1/operations/op-1?wait=20ms').expect(200);
    expect(response.body.state).toBe('running');
    expect(behind.plane.waiting).toBe(0);
  });

  it('ends when the client goes away', async () => {
    behind.plane.operationMap.set('op-1', makeOperation());
    const asked = client().get('/v1/operations/op-1?wait=60s');
    const outcome = asked.then(
      () => 'answered',
      () => 'aborted',
    );
    await expect.poll(() => behind.plane.waiting, { timeout: 15_000 }).toBe(1);
    asked.abort();
    await expect.poll(() => behind.plane.waiting, { timeout: 15_000 }).toBe(0);
    void outcome;
  });

  it('answers 404 when what it waits for goes away', async () => {
    behind.plane.operationMap.set('op-1', makeOperation());
    const answer = client()
      .get('/v1/operations/op-1?wait=60s')
      .then((response) => response);
    await expect.poll(() => behind.plane.waiting, { timeout: 15_000 }).toBe(1);
    behind.plane.change((p) => {
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
