import { randomBytes } from 'node:crypto';
import { request as ask } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeOperation } from '../testing/resources.js';
import { createApi, type Api, type ApiOptions } from './server.js';

const opened: Api[] = [];
function api(parts: Partial<ApiOptions> = {}): Api {
  const made = createApi({
    plane: new MemoryPlane(),
    log: createRecordingLog(),
    token: null,
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    version: '1',
    randomId: () => 'r',
    randomBytes,
    metrics: () => Promise.resolve(''),
    ...parts,
  });
  opened.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

describe('createApi', () => {
  it.each(['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.evil.example', '127.0.0.256'])(
    'refuses to listen on %s without a token',
    (host) => {
      expect(() => api({ listen: { host, port: 0 } })).toThrow(/without a token: set EBBGATE_TOKEN/);
    },
  );

  it.each(['', 'a b'])('refuses the token %j', (token) => {
    expect(() => api({ token })).toThrow(/EBBGATE_TOKEN must be/);
  });

  it('listens on every address with a token', async () => {
    const open = api({ token: 't', listen: { host: '0.0.0.0', port: 0 } });
    await open.start();
    const { port } = open.address();
    const answer = await fetch(`http://127.0.0.1:${String(port)}/v1/services`, {
      headers: { authorization: 'Bearer t' },
    });
    expect(answer.status).toBe(200);
  });

  it('names a taken port', async () => {
    const first = api();
    await first.start();
    const second = api({ listen: { host: '127.0.0.1', port: first.address().port } });
    await expect(second.start()).rejects.toThrow(
      `port ${String(first.address().port)} on 127.0.0.1 is taken`,
    );
  });

  it('closes twice, without having started, and within 2 s although a wait and a half request are open', async () => {
    await api().close();
    const plane = new MemoryPlane();
    plane.operationMap.set('op-1', makeOperation());
    const open = api({ plane });
    await open.start();
    const { port } = open.address();
    const waited = fetch(`http://127.0.0.1:${String(port)}/v1/operations/op-1?wait=60s`);
    const half = ask({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/v1/drains',
      headers: { 'Content-Length': 9 },
    });
    const cut = new Promise((resolve) => half.once('error', resolve));
    half.setHeader('Content-Type', 'application/json');
    half.write('{');
    await expect.poll(() => plane.waiting, { timeout: 15_000 }).toBe(1);
    const before = performance.now();
    await Promise.all([open.close(), open.close()]);
    expect(performance.now() - before).toBeLessThan(2_000);
    const answer = await waited;
    expect(answer.status).toBe(200);
    expect(answer.headers.get('connection')).toBe('close');
    expect(await answer.json()).toMatchObject({ state: 'running' });
    await cut;
    expect(() => open.address()).toThrow('does not listen');
  });
});
