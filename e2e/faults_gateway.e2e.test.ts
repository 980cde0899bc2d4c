import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Enlisted } from './harness/enlisted.js';
import { Rig } from './harness/rig.js';
import { until } from './harness/until.js';

let rig: Rig;
let one: Enlisted;
let two: Enlisted;

beforeAll(async () => {
  rig = await Rig.start();
  [one, two] = await Promise.all([rig.enlist(), rig.enlist()]);
  await rig.route();
});
afterAll(() => rig[Symbol.asyncDispose]());

test('a gateway frozen during a drain is named as unknown, the drain ends unproven, and thawed it is confirmed', async () => {
  const [first, second] = rig.gateways;
  await using traffic = rig.traffic({}, [first!]);
  await second!.freeze();
  const id = await rig.drain(one.id, { timeout: '5s' });
  const waiting = await until('the silent gateway is named', async () => {
    const operation = await rig.operation(id);
    return operation.waiting_for.some((text) => /gateway gw-2 has been silent/.test(text)) && operation;
  });
  expect(waiting).toMatchObject({ state: 'running', result: null, instances: [{ drained: false }] });
  expect((await rig.fleet()).map(({ id: gateway, state }) => [gateway, state])).toEqual([
    ['gw-1', 'live'],
    ['gw-2', 'unknown'],
  ]);
  expect((await rig.instance(one.id)).in_flight).toEqual({ 'gw-1': 0, 'gw-2': null });
  const ended = await rig.ended(id);
  expect(ended).toMatchObject({
    result: 'unproven',
    waiting_for: [expect.stringMatching(/gateway gw-2 has been silent/)],
  });
  second!.thaw();
  await until('the late proof', async () => (await rig.operation(id)).result === 'drained', {
    timeoutMs: 10_000,
  });
  const before = one.requests();
  await using both = rig.traffic();
  await until('traffic through both gateways', () => both.total() > 100);
  expect(one.requests()).toBe(before);
  expect(await both.stop()).toEqual([]);
  await rig.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
  expect(traffic.total()).toBeGreaterThan(200);
});

test('a frozen gateway that a person forgets does not delay the drain; alive again, it counts again', async () => {
  const [first, second] = rig.gateways;
  await using traffic = rig.traffic({}, [first!]);
  await second!.freeze();
  const id = await rig.drain(two.id, { timeout: '60s' });
  await until('the silent gateway is named', async () =>
    (await rig.operation(id)).waiting_for.some((text) => /gateway gw-2 has been silent/.test(text)),
  );
  const forgotten = await rig.call('POST', '/v1/gateways/gw-2/forget', { reason: 'its host burnt down' });
  expect(forgotten.status).toBe(200);
  expect(await rig.ended(id)).toMatchObject({ result: 'drained' });
  expect((await rig.fleet()).map(({ id: gateway }) => gateway)).toEqual(['gw-1']);
  second!.thaw();
  await until('it is in the roster again', async () =>
    (await rig.fleet()).some((gateway) => gateway.id === 'gw-2' && gateway.in_roster && gateway.behind === 0),
  );
  await rig.undrain(two.id);
  expect(await traffic.stop()).toEqual([]);
});
