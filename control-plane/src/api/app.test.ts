import { randomBytes } from 'node:crypto';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { behind, client, expectProblem, INSTANCE, usePlane } from '../testing/api_rig.js';
import { createRecordingLog } from '../testing/log.js';
import { createApp } from './app.js';

usePlane();

describe('the log', () => {
  it('logs of a mutation who, what, why, before and after, and by which ids', async () => {
    const log = createRecordingLog();
    const app = createApp({
      ...{
        plane: behind.plane,
        log,
        token: null,
        clock: systemClock,
        version: '1',
        randomId: () => 'req-1',
        randomBytes,
      },
      ...{ metrics: () => Promise.resolve(''), closing: behind.closing.signal },
    });
    const headers = { 'X-Ebbgate-Actor': 'job/42', 'Idempotency-Key': 'k-9' };
    const drained = await supertest(app).post(`${INSTANCE}/drain`).set(headers).send({ reason: 'kernel' });
    expect(drained.status).toBe(202);
    const [line] = log.lines.filter(({ message }) => message === 'mutated');
    expect(line?.fields).toMatchObject({
      ...{ token: null, from: '127.0.0.1', object: 'shop/10.0.1.7:8080' },
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
    expect(behind.plane.mutated).toHaveLength(1);
  });

  it.each([
    ['ann@example.org', null, 'ann@example.org'],
    ['job/42', null, 'job/42'],
    ['ci:deploy.7+rerun', null, 'ci:deploy.7+rerun'],
    [undefined, null, 'local'],
    [undefined, 't', 'static'],
    ['job/42', 't', 'static for job/42'],
  ])('calls the actor %s with token %s: %s', async (given, token, by) => {
    const post = client(token).post(`${INSTANCE}/undrain`);
    if (given !== undefined) void post.set('X-Ebbgate-Actor', given);
    if (token !== null) void post.set('Authorization', `Bearer ${token}`);
    await post.expect(200);
    expect(behind.plane.mutated[0]!.context.by).toBe(by);
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
    expect(behind.plane.mutated).toEqual([]);
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
    expect(behind.plane.mutated).toEqual([]);
  });
});
