import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IntentResource, ProtectionResource, ReadinessResource } from '../control-plane/src/testkit.js';
import type { Enlisted } from './harness/enlisted.js';
import { Rig } from './harness/rig.js';
import { until } from './harness/until.js';
import { WallClock } from './harness/wall_clock.js';

const HOURS_2 = 7_200;
const clock = new WallClock();
let rig: Rig;
let instances: readonly Enlisted[];

beforeAll(async () => {
  rig = await Rig.start({ gateways: 1, env: { ...clock.env, EBBGATE_CLOCK_BOUND: '5s' } });
  instances = [await rig.enlist(), await rig.enlist(), await rig.enlist()];
});
afterAll(() => rig[Symbol.asyncDispose]());

const verb = (id: string, name: string, body: object): Promise<{ readonly status: number }> =>
  rig.call('POST', `/v1/services/shop/instances/${encodeURIComponent(id)}/${name}`, body);
const clockState = async (): Promise<ReadinessResource['clock']> =>
  (await rig.call<ReadinessResource>('GET', '/readyz')).body.clock;
const becomes = (state: string): Promise<true> =>
  until(`the clock is ${state}`, async () => (await clockState()).state === state, { timeoutMs: 15_000 });
const stateOf = async (id: string): Promise<string> => (await rig.instance(id)).effective.state;

test('a controller whose clock is 2 h ahead ends nothing, says so, and writes the time of the stores', async () => {
  const [one, two] = instances as [Enlisted, Enlisted, Enlisted];
  await becomes('in_sync'); // the stores are asked once a second until they have reported
  expect((await verb(one.id, 'isolate', { reason: 'leak', expires: '1h' })).status).toBe(200);
  const { intent } = await rig.instance(one.id);

  clock.set(HOURS_2);
  await until('it is reported by both stores', async () => {
    const { state, ahead_ms: ahead } = await clockState();
    return state === 'out_of_sync' && (ahead.zookeeper ?? 0) > 7_000_000 && (ahead.redis ?? 0) > 7_000_000;
  });
  const kept = await rig.call<ProtectionResource>('GET', '/v1/protection');
  expect(kept.body.expiry_suspended).toMatch(
    /ZooKeeper's by 2h .*Redis's by 2h .*nothing expires until they agree/,
  );
  expect(await stateOf(one.id)).toBe('isolated');

  // Nor does one that becomes the leader with such a clock.
  await rig.controller.kill();
  await rig.controller.start();
  await rig.ready();
  await becomes('out_of_sync');
  expect(await stateOf(one.id)).toBe('isolated');
  expect((await rig.instance(one.id)).intent).toEqual(intent);

  expect((await verb(two.id, 'isolate', { reason: 'too', expires: '30m' })).status).toBe(200);
  const { items } = (await rig.call<{ readonly items: readonly IntentResource[] }>('GET', '/v1/intents'))
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
  const [, two] = instances as [Enlisted, Enlisted, Enlisted];
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
