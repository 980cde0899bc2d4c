import { describe, expect, it } from 'vitest';
import { behind, client, expectProblem, INSTANCE, usePlane } from '../testing/api_rig.js';
import { makeOperation } from '../testing/resources.js';
import * as mutation from './schema/mutation.js';

usePlane();

describe('mutations', () => {
  it('hands a drain to the behind.plane with all its circumstances, and answers 202 with a Location', async () => {
    const response = await client()
      .post(`${INSTANCE}/drain`)
      .set({ 'Idempotency-Key': 'k-1', 'If-Match': '"17-3"', 'X-Ebbgate-Actor': 'ann' })
      .send({ timeout: '90s', on_timeout: 'cut', reason: 'kernel', expires: '2h', force: true })
      .expect(202);
    expect(response.headers['location']).toBe('/v1/operations/op-1');
    expect(response.headers['etag']).toBe('"17-4"');
    expect(mutation.mutation.parse(response.body)).toEqual(response.body);
    expect(behind.plane.mutated).toEqual([
      {
        mutation: {
          kind: 'drain',
          selector: { service: 'shop', ids: ['10.0.1.7:8080'] },
          timeout_ms: 90_000,
          on_timeout: 'cut',
        },
        context: {
          by: 'ann',
          services: '*',
          origin: { token: null, from: '127.0.0.1', request_id: expect.any(String) },
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
    expect(behind.plane.mutated[0]!.context.dry_run).toBe(true);
    expect(behind.plane.operations()).toEqual([]);
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
    expect(behind.plane.mutated.map((call) => call.mutation)).toEqual([
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
    expect(behind.plane.mutated[0]?.mutation).toEqual({ kind: 'patch_spec', service: 'shop', spec });
  });

  it('makes an instance a backup, alone or with a weight, and gives the role back', async () => {
    const send = (body: object) => client().patch(INSTANCE).set('If-Match', '*').send(body).expect(200);
    await send({ backup: true, reason: 'spare' });
    await send({ backup: null, weight: 7 });
    expect(behind.plane.mutated.map((call) => call.mutation)).toEqual([
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
    expect(behind.plane.mutated.map(({ mutation }) => mutation)).toMatchObject([
      { keep_sticky_ms: 600_000 },
      { keep_sticky_ms: 3_600_000, timeout_ms: 7_200_000 },
      {},
    ]);
    expect(behind.plane.mutated[2]?.mutation).not.toHaveProperty('keep_sticky_ms');
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
    expect(behind.plane.mutated.map((call) => call.mutation)).toEqual([
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
    expect(behind.plane.mutated.map((call) => call.context.reason)).toEqual([
      'back',
      'slow',
      'now',
      '',
      'why not',
    ]);
    expect(behind.plane.mutated[2]!.context.force).toBe(true);
  });

  it('cancels operations, forgets gateways and lets them leave', async () => {
    behind.plane.operationMap.set('op-1', makeOperation());
    await client().post('/v1/operations/op-1/cancel').expect(200);
    await client().post('/v1/gateways/gw-a/forget').send({ reason: 'burnt' }).expect(200);
    await client().post('/v1/gateways/gw-a/leave').expect(200);
    await client().post('/v1/gateways/gw-new/join').expect(200);
    await client().post('/v1/gateways/forgets').send({ never_heard: true, reason: 'made up' }).expect(200);
    await client()
      .post('/v1/gateways/forgets')
      .send({ gateways: ['gw-a', 'gw-b'], reason: 'burnt' })
      .expect(200);
    expect(behind.plane.mutated.map((call) => call.mutation)).toEqual([
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
    behind.plane.refusal = { code: 'guard_refused', detail: 'no', guards: [guard], blockers: ['b'] };
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
    expect(behind.plane.mutated).toEqual([]);
  });
});
