import { once } from 'node:events';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startDemoInstance, type DemoInstance } from './demo_instance.js';

let instance: DemoInstance;
let url: string;

beforeEach(async () => {
  instance = await startDemoInstance({
    ...{ service: 'shop', version: 'v1', instance: 'a', host: '127.0.0.1', port: 0 },
  });
  url = `http://127.0.0.1:${String(instance.port)}`;
});
afterEach(() => instance.close());

test('every path and method answers who it is', async () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/a/b?x=1'],
    ['POST', '/orders'],
  ] as const) {
    const answer = await request(url + path, { method, ...(method === 'POST' ? { body: 'x' } : {}) });
    expect(answer.statusCode).toBe(200);
    expect(await answer.body.json()).toEqual({ service: 'shop', version: 'v1', instance: 'a' });
  }
});

test('?status and ?delay are obeyed, nonsense is refused by name', async () => {
  const before = performance.now();
  const late = await request(`${url}/?status=503&delay=0.2`);
  await late.body.dump();
  expect(late.statusCode).toBe(503);
  expect(performance.now() - before).toBeGreaterThan(190);
  for (const [query, named] of [
    ['delay=-1', 'delay'],
    ['delay=1h', 'delay'],
    ['status=99', 'status'],
  ]) {
    const refused = await request(`${url}/?${String(query)}`);
    expect(refused.statusCode).toBe(400);
    expect(await refused.body.text()).toContain(`${String(named)} must be`);
  }
});

test('/ws echoes text and binary, other paths do not upgrade', async () => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
  await once(socket, 'open');
  socket.send('hello');
  const [text, textIsBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  expect([String(text), textIsBinary]).toEqual(['hello', false]);
  socket.send(Buffer.from([1, 2]));
  const [bytes, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  expect([[...bytes], isBinary]).toEqual([[1, 2], true]);
  const other = new WebSocket(`${url.replace('http', 'ws')}/other`);
  const [error] = (await once(other, 'error')) as [Error];
  expect(error.message).toContain('404');
  await Promise.all([once(socket, 'close'), instance.close()]); // an open socket does not keep it
});

test('closing lets an open request end and takes no new connection', async () => {
  const agent = new Agent();
  const open = request(`${url}/?delay=0.5`, { dispatcher: agent });
  await expect.poll(() => agent.stats[url]?.running).toBe(1);
  const second = await request(url); // begun after it, so the first one is in the server by now
  await second.body.dump();
  const closed = instance.close();
  await expect(request(url, { dispatcher: new Agent() })).rejects.toThrow(/ECONNREFUSED/);
  const answer = await open;
  expect(answer.statusCode).toBe(200);
  expect(answer.headers.connection).toBe('close');
  await answer.body.dump();
  await closed;
  await agent.close();
});

test('a bad one fails everything but the question whether it is ready', async () => {
  const bad = await startDemoInstance({
    ...{ service: 'shop', version: 'v3', instance: 'b', host: '127.0.0.1', port: 0, bad: true },
  });
  const statusOf = async (path: string): Promise<number> => {
    const { statusCode, body } = await request(`http://127.0.0.1:${String(bad.port)}${path}`);
    await body.dump();
    return statusCode;
  };
  expect([await statusOf('/'), await statusOf('/x?status=200'), await statusOf('/ready')]).toEqual([
    500, 500, 200,
  ]);
  await bad.close();
});
