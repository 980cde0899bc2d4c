import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IntentResource, ProtectionResource, ReadinessResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { until } from './harness/until.js';
import { WallClock } from './harness/wall_clock.js';

const HOURS_2 = 7_200;
const clock = new WallClock();
let platform: ControlledPlatform;
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start({
    gateways: 1,
    env: { ...clock.env, EBBGATE_CLOCK_BOUND: '5s' },
  });
  instances = [
    await platform.startInstance(),
    await platform.startInstance(),
    await platform.startInstance(),
  ];
});
afterAll(() => platform[Symbol.asyncDispose]());

const verb = (id: string, name: string, body: object): Promise<{ readonly status: number }> =>
  platform.call('POST', `/v1/services/shop/instances/${encodeURIComponent(id)}/${name}`, body);
const clockState = async (): Promise<ReadinessResource['clock']> =>
  (await platform.call<ReadinessResource>('GET', '/readyz')).body.clock;
const becomes = (state: string): Promise<true> =>
  until(`the clock is ${state}`, async () => (await clockState()).state === state, { timeoutMs: 15_000 });
const stateOf = async (id: string): Promise<string> => (await platform.instance(id)).effective.state;

test('a controller whose clock is 2 h ahead ends nothing, says so, and writes the time of the stores', async () => {
  const [one, two] = instances as [RegisteredInstance, RegisteredInstance, RegisteredInstance];
  await becomes('in_sync'); // the stores are asked once a second until they have reported
  expect((await verb(one.id, 'isolate', { reason: 'leak', expires: '1h' })).status).toBe(200);
  const { intent } = await platform.instance(one.id);

  clock.set(HOURS_2);
  await until('it is reported by both stores', async () => {
    const { state, ahead_ms: ahead } = await clockState();
    return state === 'out_of_sync' && (ahead.zookeeper ?? 0) > 7_000_000 && (ahead.redis ?? 0) > 7_000_000;
  });
  const kept = await platform.call<ProtectionResource>('GET', '/v1/protection');
  expect(kept.body.expiry_suspended).toMatch(
    /ZooKeeper's by 2h .*Redis's by 2h .*nothing expires until they agree/,
  );
  expect(await stateOf(one.id)).toBe('isolated');

  // Nor does one that becomes the leader with such a clock.
  await platform.controller.kill();
  await platform.controller.start();
  await platform.ready();
  await becomes('out_of_sync');
  expect(await stateOf(one.id)).toBe('isolated');
  expect((await platform.instance(one.id)).intent).toEqual(intent);

  expect((await verb(two.id, 'isolate', { reason: 'too', expires: '30m' })).status).toBe(200);
  const { items } = (await platform.call<{ readonly items: readonly IntentResource[] }>('GET', '/v1/intents'))
    .body;
  const until30 = Date.parse(items.find(({ instance }) => instance === two.id)?.until ?? '');
  expect(Math.abs(until30 - Date.now() - 1_800_000)).toBeLessThan(60_000);

  clock.set(0);
  await becomes('in_sync');
  expect(await stateOf(one.id)).toBe('isolated');
  expect((await verb(two.id, 'isolate', { expires: '1s' })).status).toBe(200);
  await until('what expires expires again', async () => (await stateOf(two.id)) === 'up');
  expect(await stateOf(one.id)).toBe('isolated');
});

test('what has expired is not in force again when the clock is set back', async () => {
  const [, two] = instances as [RegisteredInstance, RegisteredInstance, RegisteredInstance];
  await becomes('in_sync');
  expect((await verb(two.id, 'isolate', { expires: '1s' })).status).toBe(200);
  await until('it is over', async () => (await stateOf(two.id)) === 'up');
  clock.set(-HOURS_2);
  await becomes('out_of_sync');
  expect(await stateOf(two.id)).toBe('up');
  clock.set(0);
  await becomes('in_sync');
  expect(await stateOf(two.id)).toBe('up');
});
