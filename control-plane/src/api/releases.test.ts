import { randomBytes } from 'node:crypto';
import request from 'supertest';
import { beforeEach, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeRelease } from '../testing/memory_releases.js';
import { createApp } from './app.js';

let plane: MemoryPlane;
let app: ReturnType<typeof createApp>;

beforeEach(() => {
  plane = new MemoryPlane().add('shop', ['a', 'b']);
  plane.releases.map.set('rel-1', makeRelease());
  app = createApp({
    plane,
    log: createRecordingLog(),
    token: null,
    clock: systemClock,
    version: '1',
    randomId: () => 'req-1',
    randomBytes,
    metrics: () => Promise.resolve(''),
    closing: new AbortController().signal,
  });
});

const post = (path: string, body: object) => request(app).post(path).send(body);

it('reads', async () => {
  const one = await request(app).get('/v1/releases/rel-1');
  expect(one.body).toEqual(makeRelease());
  expect(one.headers['etag']).toBe('"rel-1-7"');
  for (const path of ['/v1/releases', '/v1/services/shop/releases'])
    expect((await request(app).get(path)).body).toEqual({ items: [makeRelease()] });
  expect((await request(app).get('/v1/releases/rel-1/plan')).body).toMatchObject({ rollback_to: 'v1' });
  expect((await request(app).get('/v1/releases/rel-1/events')).body).toMatchObject({
    items: [{ event: 'started' }],
  });
});

it.each([
  '/v1/releases/rel-9',
  '/v1/releases/rel-9/plan',
  '/v1/releases/rel-9/events',
  '/v1/services/nobody/releases',
])('there is no %s', async (path) => {
  expect((await request(app).get(path)).body).toMatchObject({ status: 404, code: 'not_found' });
});

it('a wait ends when the release has ended', async () => {
  const ended = makeRelease({ state: 'succeeded', phase: null, ended_at: '2026-05-01T12:00:00.000Z' });
  const waiting = request(app)
    .get('/v1/releases/rel-1?wait=30s')
    .then((answer) => answer.body as object);
  await expect.poll(() => plane.waiting).toBe(1);
  plane.change(() => plane.releases.map.set('rel-1', ended));
  expect(await waiting).toEqual(ended);
});

it('starts with 202 and where the release is; a dry run with 200', async () => {
  const started = await post('/v1/services/shop/releases', {
    target: 'v2',
    gates: { interval: '5s', latency: null },
  })
    .set('idempotency-key', 'k-1')
    .set('if-match', '"0"');
  expect(started.status).toBe(202);
  expect(started.headers['location']).toBe('/v1/releases/rel-1');
  expect(plane.releases.begun[0]).toEqual({
    request: {
      service: 'shop',
      target: 'v2',
      stable: null,
      strategy: null,
      like: null,
      gates: { interval_ms: 5_000, latency: null },
      deadline_ms: null,
      start_deadline_ms: null,
      min_ready: null,
      supersede: false,
      plan_hash: null,
    },
    context: {
      ...{ by: 'local', reason: '', dry_run: false, force: false, idempotency_key: 'k-1', if_match: '0' },
      origin: { token: null, from: '127.0.0.1', request_id: 'req-1' },
    },
  });
  expect((await post('/v1/services/shop/releases?dry_run=true', { target: 'v2' })).status).toBe(200);
});

it.each<[string, string, object, string]>([
  ['no target', '/v1/services/shop/releases', {}, 'target'],
  ['a bad version', '/v1/services/shop/releases', { target: 'v 2' }, 'target'],
  ['a share above 100', '/v1/services/shop/releases', { target: 'v2', steps: [{ weight: 101 }] }, 'steps'],
  ['half a percent', '/v1/services/shop/releases', { target: 'v2', steps: [{ weight: 0.5 }] }, 'steps'],
  ['no steps', '/v1/services/shop/releases', { target: 'v2', steps: [] }, 'steps'],
  ['a pause without unit', '/v1/services/shop/releases', { target: 'v2', steps: [{ pause: '5' }] }, 'steps'],
  ['an unknown gate', '/v1/services/shop/releases', { target: 'v2', gates: { smell: true } }, 'gates'],
  ['promote without its step', '/v1/releases/rel-1/promote', {}, 'expected_step'],
  ['full where it has no meaning', '/v1/releases/rel-1/skip', { expected_step: 1, full: true }, 'full'],
  ['force without a reason', '/v1/releases/rel-1/skip', { expected_step: 1, force: true }, 'reason'],
])('refuses %s by name', async (_name, path, body, field) => {
  const refused = await post(path, body);
  expect(refused.status).toBe(400);
  expect(JSON.stringify(refused.body)).toContain(field);
  expect(plane.releases.begun).toEqual([]);
  expect(plane.releases.moved).toEqual([]);
});

it.each([
  ['pause', {}, { expected_step: null, full: false }],
  ['resume', { reason: 'well' }, { expected_step: null, full: false }],
  ['promote', { expected_step: 1, full: true }, { expected_step: 1, full: true }],
  ['skip', { expected_step: 1 }, { expected_step: 1, full: false }],
  ['retry', { expected_step: 1 }, { expected_step: 1, full: false }],
  ['abort', {}, { expected_step: null, full: false }],
  ['rollback', {}, { expected_step: null, full: false }],
])('%s', async (verb, body, expected) => {
  const moved = await post(`/v1/releases/rel-1/${verb}`, body);
  expect(moved).toMatchObject({ status: 200, body: { changed: true, release: { id: 'rel-1' } } });
  expect(plane.releases.moved).toMatchObject([{ id: 'rel-1', verb: { verb, ...expected } }]);
});

it('a guard that refuses is a 409 with what blocks', async () => {
  plane.releases.refusal = { code: 'guard_refused', detail: 'protection', blockers: ['protection'] };
  const refused = await post('/v1/releases/rel-1/promote', { expected_step: 1 });
  expect(refused).toMatchObject({ status: 409, body: { code: 'guard_refused', blockers: ['protection'] } });
});

const faulty: readonly (readonly [object, string, string])[] = [
  [{ errors: { max_percent: 101 } }, 'errors.max_percent', '100'],
  [{ errors: { ratio: 0.5 } }, 'errors.ratio', '1'],
  [{ latency: { percentile: 98 } }, 'latency.percentile', '50 or 90 or 95 or 99'],
  [{ latency: { slack_ms: -1 } }, 'latency.slack_ms', '0'],
  [{ failure_limit: 101 }, 'failure_limit', '100'],
  [{ interval: '10' }, 'interval', 'a whole number and a unit'],
  [{ interval: '500ms' }, 'interval', '1s'],
  [{ min_samples: 0 }, 'min_samples', '1'],
  [{ on_inconclusive: 'wait' }, 'on_inconclusive', 'pause'],
  [{ webhooks: [{ name: 'a b', url: 'http://ci' }] }, 'webhooks.0.name', 'letters'],
  [{ webhooks: [{ name: 'ci' }] }, 'webhooks.0.url', ''],
  [{ webhooks: [{ name: 'ci', url: 'http://ci', timeout: '2m' }] }, 'webhooks.0.timeout', '1m'],
  [{ webhooks: ['a', 'b'].map(() => ({ name: 'ci', url: 'http://ci' })) }, 'webhooks', 'name twice'],
  [{ webhooks: [1, 2, 3, 4, 5, 6].map((n) => ({ name: `ci${n}`, url: 'http://ci' })) }, 'webhooks', '5'],
  [{ prometheus: [{ name: 'lag', query: '', max: 1 }] }, 'prometheus.0.query', ''],
  [{ prometheus: [{ name: 'lag', query: 'x' }] }, 'prometheus.0', 'needs max, min or both'],
  [{ prometheus: [{ name: 'lag', query: 'x', max: 'a' }] }, 'prometheus.0.max', 'number'],
];
it.each(faulty)('refuses the gates %j by name', async (gates, field, hint) => {
  const refused = await post('/v1/services/shop/releases', { target: 'v2', gates });
  expect(refused.body).toMatchObject({
    code: 'invalid_request',
    field: `body.gates.${field}`,
    detail: expect.stringContaining(hint) as string,
  });
  expect(plane.releases.begun).toEqual([]);
});

it('fills in what a gate leaves out', async () => {
  const gates = {
    ...{ errors: {}, latency: { percentile: 99 }, webhooks: [{ name: 'ci', url: 'http://ci' }] },
    prometheus: [{ name: 'lag', query: 'lag', min: 0 }],
  };
  expect((await post('/v1/services/shop/releases', { target: 'v2', gates })).status).toBe(202);
  expect(plane.releases.begun[0]?.request.gates).toEqual({
    errors: { max_percent: 1, ratio: 2 },
    latency: { percentile: 99, slack_ms: 10, ratio: 2 },
    webhooks: [{ name: 'ci', url: 'http://ci', timeout_ms: 5_000 }],
    prometheus: [{ name: 'lag', query: 'lag', max: null, min: 0 }],
  });
});
