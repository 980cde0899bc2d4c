import { once } from 'node:events';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { MutationResource } from '../control-plane/src/testkit.js';
import { startStack, type Registered, type Stack } from './harness/stack.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

/** A count shows at the next beat (1 s) and the next reading of the beats (1 s); a second request would spoil the numbers. */
const SEEN_MS = 3_000;

let stack: Stack;
let [a, b]: Registered[] = [];

beforeAll(async () => {
  stack = await startStack();
  [a, b] = await Promise.all([stack.register(), stack.register()]);
  await stack.route('shop');
});
afterAll(() => stack[Symbol.asyncDispose]());

/** Sends slow GETs through the first gateway until `id` has one; `ended` is the moment its answer came. Wants no other traffic. */
async function openRequest(id: string, seconds: number): Promise<{ readonly ended: Promise<number> }> {
  for (let tries = 0; tries < 20; tries += 1) {
    const answer = request(`${stack.gateways[0] ?? ''}/?delay=${String(seconds)}`).then(async (response) => {
      const body = (await response.body.json()) as { instance: string };
      return { status: response.statusCode, instance: body.instance, at: performance.now() };
    });
    const open = await until(
      'the request is counted somewhere',
      async () => {
        const { in_flight } = await stack.instance('shop', id);
        return (in_flight['gateway-1'] ?? 0) > 0;
      },
      { timeoutMs: SEEN_MS },
    ).catch(() => undefined);
    if (open === undefined) continue; // another instance has it; it ends by itself
    const ended = answer.then((one) => {
      expect(one).toMatchObject({ status: 200, instance: id });
      return one.at;
    });
    return { ended };
  }
  throw new Error(`no request came to ${id}`);
}

test('a drain with a slow request and an open WebSocket ends with the last of them, and never before', async () => {
  const [instance, other] = [a as Registered, b as Registered];
  const [first = '', second = ''] = stack.gateways;
  // A WebSocket that the instance keeps open, through the second gateway.
  let socket: WebSocket | undefined;
  await until('a WebSocket to the instance', async () => {
    const opened = new WebSocket(`${second.replace('http', 'ws')}/ws`);
    await once(opened, 'open');
    const here = await until(
      'it is counted',
      async () => ((await stack.instance('shop', instance.id)).in_flight['gateway-2'] ?? 0) > 0,
      { timeoutMs: SEEN_MS },
    ).catch(() => false);
    if (here) socket = opened;
    else opened.terminate();
    return here;
  });
  const slow = await openRequest(instance.id, 10);
  await using oneStream = startTraffic({ url: first, rate: 100 });
  await using otherStream = startTraffic({ url: second, rate: 100 });

  const drained = await stack.call<MutationResource>(
    'POST',
    `/v1/services/shop/instances/${instance.id}/drain`,
    {
      reason: 'new kernel',
      timeout: '60s',
    },
  );
  expect(drained.status).toBe(202);
  const id = drained.body.operation?.id ?? '';
  expect(drained.headers.location).toBe(`/v1/operations/${id}`);
  await stack.converged('shop');
  // From the ack on: no new request.
  const settled = await sendMany({ url: first, count: 300 });
  expect(settled.failed).toEqual([]);
  expect([...settled.instances.keys()]).toEqual([other.id]);

  const waiting = await until('the operation names the gateways that still have requests', async () => {
    const operation = await stack.operation(id);
    const text = operation.waiting_for.join('; ');
    return /gateway-1 still has 1 /.test(text) && /gateway-2 still has 1 /.test(text) ? operation : undefined;
  });
  expect(waiting).toMatchObject({ state: 'running', result: null, instances: [{ drained: false }] });

  const slowEnded = await slow.ended;
  expect(await stack.operation(id)).toMatchObject({ state: 'running' });
  await until(
    'only the WebSocket is left',
    async () => {
      const { waiting_for } = await stack.operation(id);
      return waiting_for.length === 1 && waiting_for[0]?.includes('gateway-2');
    },
    { timeoutMs: 2_000 },
  );
  const before = performance.now();
  expect(before).toBeGreaterThan(slowEnded);
  expect((await stack.operation(id)).state).toBe('running');

  // It still works, and its close ends the drain.
  const echoed = once(socket as WebSocket, 'message');
  (socket as WebSocket).send('still here');
  expect(String((await echoed)[0])).toBe('still here');
  (socket as WebSocket).close();
  await once(socket as WebSocket, 'close');
  const closed = performance.now();
  const done = await stack.call('GET', `/v1/operations/${id}?wait=30s`);
  const took = performance.now() - closed;
  expect(done.body).toMatchObject({ state: 'done', result: 'drained', waiting_for: [] });
  expect(took).toBeLessThan(1_000);

  expect((await stack.cli('undrain', '-s', 'shop', instance.id, '--reason', 'done')).code).toBe(0);
  await stack.converged('shop');
  const back = await sendMany({ url: second, count: 100 });
  expect(back.instances.get(instance.id)).toBeGreaterThan(30);
  for (const stream of [oneStream, otherStream]) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
});

test('the drain of the last instance is refused by a guard that says why; a dry run changes nothing', async () => {
  const [instance, other] = [a as Registered, b as Registered];
  const dry = await stack.call<MutationResource>(
    'POST',
    `/v1/services/shop/instances/${instance.id}/drain?dry_run=true`,
    {},
  );
  expect(dry).toMatchObject({
    status: 200,
    body: {
      dry_run: true,
      // By id, and ports are random.
      changes: [
        { instance: instance.id, field: 'state', from: 'up', to: 'draining' },
        { instance: instance.id, field: 'traffic', from: '50 %', to: '0 %' },
        { instance: other.id, field: 'traffic', from: '50 %', to: '100 %' },
      ].sort((x, y) => (x.instance === y.instance ? 0 : x.instance < y.instance ? -1 : 1)),
    },
  });
  expect((await stack.instance('shop', instance.id)).effective.state).toBe('up');
  expect(await stack.cli('drain', '-s', 'shop', instance.id, '--wait', '--timeout', '30s')).toMatchObject({
    code: 0,
  });
  const refused = await stack.cli('drain', '-s', 'shop', other.id, '--wait', '--timeout', '30s');
  expect(refused.code).toBe(5);
  expect(refused.stderr).toMatch(/no instance left/);
  const body = await stack.call('POST', `/v1/services/shop/instances/${other.id}/drain`, {});
  expect(body).toMatchObject({
    status: 409,
    body: { code: 'guard_refused', guard: { guard: 'last_ready_instance' } },
  });
  expect(await stack.cli('undrain', '-s', 'shop', instance.id)).toMatchObject({ code: 0 });
  await stack.converged('shop');
});

test('a drain by host covers services in one operation, and one that times out says what it waited for', async () => {
  const instance = a as Registered;
  const slow = await openRequest(instance.id, 8);
  const drained = await stack.call<MutationResource>('POST', '/v1/drains', {
    selector: { service: 'shop', ids: [instance.id] },
    timeout: '1s',
  });
  expect(drained.status).toBe(202);
  const id = drained.body.operation?.id ?? '';
  const ended = await stack.call(`GET`, `/v1/operations/${id}?wait=30s`);
  expect(ended.body).toMatchObject({
    result: 'timed_out',
    waiting_for: [expect.stringContaining('still has 1 open request')],
    instances: [{ requests_left: 1 }],
  });
  const wait = await stack.cli('wait', 'operation', id, '--timeout', '1s');
  expect(wait.code).toBe(4);
  await slow.ended;
  await until(
    'the late proof turns it into drained',
    async () => (await stack.operation(id)).result === 'drained',
  );
  expect(await stack.cli('undrain', '-s', 'shop', instance.id)).toMatchObject({ code: 0 });
});
