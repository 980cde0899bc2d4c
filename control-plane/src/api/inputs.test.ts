import { randomBytes } from 'node:crypto';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { behind, client, expectProblem, INSTANCE, usePlane } from '../testing/api_rig.js';
import { createRecordingLog } from '../testing/log.js';
import { createApp } from './app.js';

usePlane();

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
    expect(behind.plane.mutated).toEqual([]);
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
      plane: behind.plane,
      log,
      token: null,
      clock: systemClock,
      version: '1',
      randomId: () => 'r',
      randomBytes,
      metrics: () => Promise.reject(new Error('secret')),
      closing: behind.closing.signal,
    });
    const response = await supertest(app).get('/metrics');
    expectProblem(response, 'internal');
    expect(JSON.stringify(response.body)).not.toContain('secret');
    expect(log.lines).toMatchObject([{ level: 'error', fields: { request_id: 'r', code: 'internal' } }]);
  });
});
