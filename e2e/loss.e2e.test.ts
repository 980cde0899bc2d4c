import { afterAll, beforeAll, expect, test } from 'vitest';
import { startStack, type Registered, type Stack } from './harness/stack.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let stack: Stack;
let fleet: Registered[] = [];

beforeAll(async () => {
  stack = await startStack();
  fleet = await Promise.all(['one', 'two', 'three'].map((id) => stack.register({ id })));
  await stack.route('shop');
});
afterAll(() => stack[Symbol.asyncDispose]());

test('an instance killed -9 without a word: its requests are retried, its node goes with its session', async () => {
  const traffic = stack.gateways.map((url) => startTraffic({ url, rate: 100 }));
  const victim = fleet.pop() as Registered;
  await until('traffic flows to it', () => (traffic[0]?.instances.get(victim.id) ?? 0) > 5);
  await victim.vanish();
  await until(
    'it is taken out once its session has expired',
    async () => {
      const answer = await stack.call<{ items: { id: string }[] }>('GET', '/v1/services/shop/instances');
      return answer.body.items.every((one) => one.id !== victim.id);
    },
    { timeoutMs: 20_000 },
  );
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
  const events = await stack.cli('events', 'shop');
  expect(events.stdout).toMatch(new RegExp(`lost.*${victim.id}|${victim.id}.*lost`));
});

test('an isolated instance that dies and registers again is still isolated', async () => {
  const instance = fleet[0] as Registered;
  const isolated = await stack.cli('isolate', '-s', 'shop', instance.id, '--reason', 'it lies');
  expect(isolated).toMatchObject({ code: 0 });
  await stack.converged('shop');
  const traffic = startTraffic({ url: stack.gateways[0] ?? '', rate: 100 });
  await instance.vanish();
  fleet[0] = await stack.register({ id: instance.id });
  expect(await stack.instance('shop', instance.id)).toMatchObject({
    registered: true,
    effective: { state: 'isolated', down: true },
    intent: { by: 'e2e', reason: 'it lies' },
  });
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
  expect(traffic.instances.get(instance.id)).toBeUndefined();
  const intents = await stack.cli('get', 'intents', '-o', 'json');
  expect(intents.stdout).toMatch(/it lies/);
  expect(await stack.cli('restore', '-s', 'shop', instance.id)).toMatchObject({ code: 0 });
  await stack.converged('shop');
});

test('an instance restarted by its registrar serves again at once', async () => {
  const instance = fleet[1] as Registered;
  const traffic = startTraffic({ url: stack.gateways[1] ?? '', rate: 100 });
  expect(await instance.leave()).toBe(0);
  fleet[1] = await stack.register({ id: instance.id });
  const after = await sendMany({ url: stack.gateways[1] ?? '', count: 100 });
  expect(after.instances.size).toBe(2);
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
});
