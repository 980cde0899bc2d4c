import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import supertest from 'supertest';
import { beforeEach, expect, it } from 'vitest';
import type { ForwardedRequest, NoAnswer } from '../model/control_plane.js';
import { err, ok } from '../model/result.js';
import { createFakeClock } from '../testing/clock.js';
import { createRecordingLog, type RecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeReadiness } from '../testing/resources.js';
import { createApp } from './app.js';
import { forwardByHttp } from './forward_http.js';
import { connectionsOf } from './tls/outgoing.js';

const DRAIN = '/v1/services/shop/instances/a/drain';
let plane: MemoryPlane;
/** What was sent on, and where. */
let sent: { readonly to: string; readonly request: ForwardedRequest }[];
let failure: NoAnswer | null;
let log: RecordingLog;

beforeEach(() => {
  plane = new MemoryPlane().add('shop', ['a', 'b']);
  [sent, failure, log] = [[], null, createRecordingLog()];
  becomes('standby');
  plane.controllerList = [
    { id: 'one', role: 'leader', address: 'http://one:8090', version: '1', started_at: '' },
    { id: 'two', role: 'standby', address: null, version: '1', started_at: '' },
  ];
});

function becomes(state: 'leading' | 'standby' | 'starting'): void {
  const ready = makeReadiness();
  plane.ready = { ...ready, controller: { ...ready.controller, state } };
}

function api() {
  return supertest(
    createApp({
      ...{ plane, log, token: 'secret', clock: createFakeClock(), version: '1' },
      ...{
        randomId: () => 'req-1',
        randomBytes,
        metrics: () => Promise.resolve(''),
        closing: new AbortController().signal,
      },
      forwardTo: (to, request) => {
        sent.push({ to, request });
        const headers = { 'content-type': 'application/json', etag: '"7"', server: 'x' };
        return Promise.resolve(
          failure === null ? ok({ status: 201, headers, body: '{"of":"one"}' }) : err(failure),
        );
      },
    }),
  );
}
const drain = () => api().post(`${DRAIN}?dry_run=true`).auth('secret', { type: 'bearer' });

it('a standby sends a change on to the leader, and gives back what that answers', async () => {
  const answer = await drain()
    .set({
      'Idempotency-Key': 'k',
      'If-Match': '*',
      'X-Ebbgate-Actor': 'ann',
      'X-Request-Id': 'mine',
      Cookie: 'c',
    })
    .send({ reason: 'disk' });
  expect(answer).toMatchObject({ status: 201, body: { of: 'one' } });
  expect(answer.headers).toMatchObject({ etag: '"7"', 'x-request-id': 'mine', 'x-ebbgate-role': 'standby' });
  expect(answer.headers).not.toHaveProperty('server');
  expect(sent).toEqual([
    {
      to: 'http://one:8090',
      request: {
        ...{ method: 'POST', path: `${DRAIN}?dry_run=true`, body: '{"reason":"disk"}' },
        headers: {
          ...{ authorization: 'Bearer secret', 'content-type': 'application/json', 'idempotency-key': 'k' },
          ...{
            'if-match': '*',
            'x-ebbgate-actor': 'ann',
            'x-request-id': 'mine',
            'x-ebbgate-forwarded': '127.0.0.1',
          },
        },
      },
    },
  ]);
  expect(plane.mutated).toEqual([]);
  // Before it answers: the next read here shows what was changed.
  expect(plane.catchUps).toBe(1);
  // Whether it changed anything, the leader says in its own log.
  expect(log.lines.map(({ message }) => message)).toEqual(['forwarded']);
});

it('a change without a body is sent on as one', async () => {
  expect(await drain()).toMatchObject({ status: 201 });
  expect(sent).toMatchObject([{ request: { body: '{}', headers: { 'content-type': 'application/json' } } }]);
});

it('who asks without the right token is not sent on', async () => {
  expect((await api().post(DRAIN)).status).toBe(401);
  expect(sent).toEqual([]);
});

it('reads are answered by whoever is asked, and say by whom', async () => {
  const answer = await api().get('/v1/services').auth('secret', { type: 'bearer' });
  expect(answer).toMatchObject({ status: 200, headers: { 'x-ebbgate-role': 'standby' } });
  expect(sent).toEqual([]);
});

it('a standby says how old its view is; one that cannot know, and a leader, say nothing', async () => {
  const read = () => api().get('/v1/services').auth('secret', { type: 'bearer' });
  plane.age = 1_234;
  expect((await read()).headers).toMatchObject({ 'x-ebbgate-view-age': '1.234' });
  plane.age = null;
  expect((await read()).headers).not.toHaveProperty('x-ebbgate-view-age');
  plane.age = 1_234;
  becomes('leading');
  expect((await read()).headers).not.toHaveProperty('x-ebbgate-view-age');
});

it("/v1/leader says who leads, and where; /readyz?role=leader is that one's alone", async () => {
  const leader = () => api().get('/v1/leader').auth('secret', { type: 'bearer' });
  expect(await leader()).toMatchObject({ status: 200, body: { id: 'one', address: 'http://one:8090' } });
  plane.controllerList = [];
  expect(await leader()).toMatchObject({ status: 503, body: { code: 'no_leader' } });
  plane.controllerList = null;
  expect(await leader()).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
  expect((await api().get('/readyz')).status).toBe(200);
  expect((await api().get('/readyz?role=leader')).status).toBe(503);
  becomes('leading');
  expect((await api().get('/readyz?role=leader')).status).toBe(200);
  expect((await api().get('/readyz?role=standby')).status).toBe(400);
});

it.each(['leading', 'starting'] as const)('one that is %s answers itself', async (state) => {
  becomes(state);
  expect((await drain()).headers).toMatchObject({ 'x-ebbgate-role': state });
  expect(sent).toEqual([]);
  expect(plane.mutated).toHaveLength(1);
});

it('a change that was sent on is recorded with the client and who sent it', async () => {
  becomes('leading');
  await drain().set({ 'X-Ebbgate-Forwarded': '10.0.0.7', 'X-Request-Id': 'mine' });
  await drain().set('X-Ebbgate-Forwarded', 'nobody, really');
  expect(plane.mutated.map(({ context }) => context.origin)).toEqual([
    { token: 'static', from: '10.0.0.7 via 127.0.0.1', request_id: 'mine' },
    { token: 'static', from: '127.0.0.1', request_id: 'req-1' },
  ]);
});

it('what another controller has sent on goes no further', async () => {
  const answer = await drain().set('X-Ebbgate-Forwarded', 'x');
  expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: { code: 'no_leader' } });
  expect(sent).toEqual([]);
});

it.each([
  ['nobody leads', [], /No controller leads now/],
  ['ZooKeeper does not say', null, /does not say who leads \(no connection\)/],
  [
    'the leader has no address',
    [{ id: 'one', role: 'leader', address: null, version: '1', started_at: '' }],
    /one leads, and does not say where/,
  ],
] as const)('no_leader: %s', async (_, list, detail) => {
  plane.controllerList = list === null ? null : [...list];
  const answer = await drain();
  expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: { code: 'no_leader' } });
  expect((answer.body as { readonly detail: string }).detail).toMatch(detail);
});

it.each([
  [false, /ECONNREFUSED\)\. Nothing was changed/],
  [true, /ECONNRESET\)\. It may have been done/],
])('no_leader: the leader does not answer, and it may have been done: %s', async (maybe, detail) => {
  failure = { reason: maybe ? 'ECONNRESET' : 'ECONNREFUSED', maybe };
  const answer = await drain();
  expect(answer).toMatchObject({ status: 503, body: { code: 'no_leader' } });
  expect((answer.body as { readonly detail: string }).detail).toMatch(detail);
});

it('by HTTP: the answer as it is; a refused connection is certain, a broken one is not', async () => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    seen.push([request.method, request.url, request.headers['x-a']]);
    if (request.url === '/broken') request.socket.destroy();
    else
      response
        .writeHead(409, { 'content-type': 'application/problem+json', etag: '"1"' })
        .end('{"code":"x"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const request = { method: 'PATCH', path: '/v1/x?y=1', headers: { 'x-a': 'b' }, body: '{}' };
  const { signal } = new AbortController();
  const send = forwardByHttp(connectionsOf(() => ok({})));
  expect(await send(address, request, signal)).toMatchObject({
    ok: true,
    value: { status: 409, headers: { etag: '"1"' }, body: '{"code":"x"}' },
  });
  expect(seen).toEqual([['PATCH', '/v1/x?y=1', 'b']]);
  expect(await send(address, { ...request, path: '/broken' }, signal)).toMatchObject({
    error: { maybe: true },
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(await send(address, request, signal)).toEqual({
    ok: false,
    error: { reason: 'ECONNREFUSED', maybe: false },
  });
});
