import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;
let two: RegisteredInstance;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [one, two] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

test('a gateway frozen during a drain is named as unknown, the drain ends unproven, and thawed it is confirmed', async () => {
  const [first, second] = platform.gateways;
  await using traffic = platform.traffic({}, [first!]);
  await second!.freeze();
  const id = await platform.drain(one.id, { timeout: '5s' });
  const waiting = await until('the silent gateway is named', async () => {
    const operation = await platform.operation(id);
    return operation.waiting_for.some((text) => /gateway gateway-2 has been silent/.test(text)) && operation;
  });
  expect(waiting).toMatchObject({ state: 'running', result: null, instances: [{ drained: false }] });
  expect((await platform.fleet()).map(({ id: gateway, state }) => [gateway, state])).toEqual([
    ['gateway-1', 'live'],
    ['gateway-2', 'unknown'],
  ]);
  expect((await platform.instance(one.id)).in_flight).toEqual({ 'gateway-1': 0, 'gateway-2': null });
  const ended = await platform.ended(id);
  expect(ended).toMatchObject({
    result: 'unproven',
    waiting_for: [expect.stringMatching(/gateway gateway-2 has been silent/)],
  });
  second!.thaw();
  await until('the late proof', async () => (await platform.operation(id)).result === 'drained', {
    timeoutMs: 10_000,
  });
  const before = one.requests();
  await using both = platform.traffic();
  await until('traffic through both gateways', () => both.total() > 100);
  expect(one.requests()).toBe(before);
  expect(await both.stop()).toEqual([]);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
  expect(traffic.total()).toBeGreaterThan(200);
});

test('a frozen gateway that a person forgets does not delay the drain; alive again, it counts again', async () => {
  const [first, second] = platform.gateways;
  await using traffic = platform.traffic({}, [first!]);
  await second!.freeze();
  const id = await platform.drain(two.id, { timeout: '60s' });
  await until('the silent gateway is named', async () =>
    (await platform.operation(id)).waiting_for.some((text) => /gateway gateway-2 has been silent/.test(text)),
  );
  const forgotten = await platform.call('POST', '/v1/gateways/gateway-2/forget', {
    reason: 'its host burnt down',
  });
  expect(forgotten.status).toBe(200);
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  expect((await platform.fleet()).map(({ id: gateway }) => gateway)).toEqual(['gateway-1']);
  second!.thaw();
  await until('it is in the roster again', async () =>
    (await platform.fleet()).some(
      (gateway) => gateway.id === 'gateway-2' && gateway.in_roster && gateway.behind === 0,
    ),
  );
  await platform.undrain(two.id);
  expect(await traffic.stop()).toEqual([]);
});
