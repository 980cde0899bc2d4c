import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MutationResource } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { openRequest, openSocket } from './harness/open_request.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let a: RegisteredInstance;
let b: RegisteredInstance;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [a, b] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

test('a drain with a slow request and an open WebSocket ends with the last of them, and never before', async () => {
  const [instance, other] = [a, b];
  const [first, second] = platform.gateways.map(({ url }) => url) as [string, string];
  const socket = await openSocket(second, instance);
  const slow = await openRequest(first, instance);
  await using oneStream = startTraffic({ url: first, rate: 50 });
  await using otherStream = startTraffic({ url: second, rate: 50 });

  const drained = await platform.call<MutationResource>(
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
  await platform.converged();
  // From the ack on: no new request.
  const settled = await sendMany({ url: first, count: 300 });
  expect(settled.failed).toEqual([]);
  expect([...settled.instances.keys()]).toEqual([other.id]);

  const waiting = await until('the operation names the gateways that still have requests', async () => {
    const operation = await platform.operation(id);
    const text = operation.waiting_for.join('; ');
    return /gateway-1 still has 1 /.test(text) && /gateway-2 still has 1 /.test(text) ? operation : undefined;
  });
  expect(waiting).toMatchObject({ state: 'running', result: null, instances: [{ drained: false }] });

  expect(await slow.end()).toBe(200);
  expect(await platform.operation(id)).toMatchObject({ state: 'running' });
  await until(
    'only the WebSocket is left',
    async () => {
      const { waiting_for } = await platform.operation(id);
      return waiting_for.length === 1 && waiting_for[0]?.includes('gateway-2');
    },
    { timeoutMs: 2_000 },
  );
  expect((await platform.operation(id)).state).toBe('running');

  // It still works, and its close ends the drain.
  const echoed = once(socket, 'message');
  socket.send('still here');
  expect(String((await echoed)[0])).toBe('still here');
  socket.close();
  await once(socket, 'close');
  const closed = performance.now();
  const done = await platform.call('GET', `/v1/operations/${id}?wait=30s`);
  const took = performance.now() - closed;
  expect(done.body).toMatchObject({ state: 'done', result: 'drained', waiting_for: [] });
  expect(took).toBeLessThan(1_000);

  expect((await platform.cli('undrain', '-s', 'shop', instance.id, '--reason', 'done')).code).toBe(0);
  await platform.converged();
  const back = await sendMany({ url: second, count: 100 });
  expect(back.instances.get(instance.id)).toBeGreaterThan(30);
  for (const stream of [oneStream, otherStream]) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
});

test('the drain of the last instance is refused by a guard that says why; a dry run changes nothing', async () => {
  const [instance, other] = [a, b];
  const dry = await platform.call<MutationResource>(
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
  expect((await platform.instance(instance.id)).effective.state).toBe('up');
  expect(await platform.cli('drain', '-s', 'shop', instance.id, '--wait', '--timeout', '30s')).toMatchObject({
    code: 0,
  });
  const refused = await platform.cli('drain', '-s', 'shop', other.id, '--wait', '--timeout', '30s');
  expect(refused.code).toBe(5);
  expect(refused.stderr).toMatch(/no instance left/);
  const body = await platform.call('POST', `/v1/services/shop/instances/${other.id}/drain`, {});
  expect(body).toMatchObject({
    status: 409,
    body: { code: 'guard_refused', guard: { guard: 'last_ready_instance' } },
  });
  expect(await platform.cli('undrain', '-s', 'shop', instance.id)).toMatchObject({ code: 0 });
  await platform.converged();
});

test('a drain by host covers services in one operation, and one that times out says what it waited for', async () => {
  const instance = a;
  const slow = await openRequest(platform.gateways[0]!.url, instance);
  const drained = await platform.call<MutationResource>('POST', '/v1/drains', {
    selector: { service: 'shop', ids: [instance.id] },
    timeout: '1s',
  });
  expect(drained.status).toBe(202);
  const id = drained.body.operation?.id ?? '';
  const ended = await platform.call(`GET`, `/v1/operations/${id}?wait=30s`);
  expect(ended.body).toMatchObject({
    result: 'timed_out',
    waiting_for: [expect.stringContaining('still has 1 open request')],
    instances: [{ requests_left: 1 }],
  });
  const wait = await platform.cli('wait', 'operation', id, '--timeout', '1s');
  expect(wait.code).toBe(4);
  expect(await slow.end()).toBe(200);
  await until(
    'the late proof turns it into drained',
    async () => (await platform.operation(id)).result === 'drained',
  );
  expect(await platform.cli('undrain', '-s', 'shop', instance.id)).toMatchObject({ code: 0 });
});
