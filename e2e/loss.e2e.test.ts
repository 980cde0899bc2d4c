import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import type { Registrar } from './harness/registrar.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let isolated: RegisteredInstance;
let restarted: Registrar;
let victim: Registrar;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [isolated, restarted, victim] = await Promise.all([
    platform.startInstance({ id: 'one' }),
    platform.register({ id: 'two' }),
    platform.register({ id: 'three' }),
  ]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

test('an instance killed -9 without a word: its requests are retried, its node goes with its session', async () => {
  const traffic = platform.gateways.map(({ url }) => startTraffic({ url, rate: 60 }));
  await until('traffic flows to it', () => (traffic[0]?.instances.get(victim.id) ?? 0) > 5);
  await victim.vanish();
  await until(
    'it is taken out once its session has expired',
    async () => {
      const answer = await platform.call<{ items: { id: string }[] }>('GET', '/v1/services/shop/instances');
      return answer.body.items.every((one) => one.id !== victim.id);
    },
    { timeoutMs: 20_000 },
  );
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
  const events = await platform.cli('events', 'shop');
  expect(events.stdout).toMatch(new RegExp(`lost.*${victim.id}|${victim.id}.*lost`));
});

test('an isolated instance that dies and registers again is still isolated', async () => {
  const { id } = isolated;
  expect(await platform.cli('isolate', '-s', 'shop', id, '--reason', 'it lies')).toMatchObject({ code: 0 });
  await platform.converged();
  const traffic = startTraffic({ url: platform.gateways[0]!.url, rate: 60 });
  await isolated.die();
  await platform.startInstance({ id });
  expect(await platform.instance(id)).toMatchObject({
    registered: true,
    effective: { state: 'isolated', down: true },
    intent: { by: 'ann', reason: 'it lies' },
  });
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
  expect(traffic.instances.get(id)).toBeUndefined();
  const intents = await platform.cli('get', 'intents', '-o', 'json');
  expect(intents.stdout).toMatch(/it lies/);
  expect(await platform.cli('restore', '-s', 'shop', id)).toMatchObject({ code: 0 });
  await platform.converged();
});

test('an instance restarted by its registrar serves again at once', async () => {
  const traffic = startTraffic({ url: platform.gateways[1]!.url, rate: 60 });
  expect(await restarted.leave()).toBe(0);
  await platform.register({ id: restarted.id });
  const after = await sendMany({ url: platform.gateways[1]!.url, count: 100 });
  expect(after.instances.size).toBe(2);
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
});
