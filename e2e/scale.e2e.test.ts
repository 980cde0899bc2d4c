import { expect, test } from 'vitest';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

test('scale out from 3 to 6 and in again under traffic: nothing fails, everyone serves, leavers end with 0', async () => {
  await using platform = await ControlledPlatform.start();
  const old = await Promise.all([1, 2, 3].map(() => platform.register()));
  await platform.route();
  const traffic = platform.gateways.map(({ url }) => startTraffic({ url, rate: 60 }));
  const fresh = await Promise.all([1, 2, 3].map(() => platform.startInstance()));
  await until('every new instance serves on every gateway', () =>
    traffic.every((stream) => fresh.every(({ id }) => (stream.instances.get(id) ?? 0) > 5)),
  );
  const codes = await Promise.all(old.map((instance) => instance.leave()));
  expect(codes).toEqual([0, 0, 0]);
  const left = await platform.call<{ items: { id: string }[] }>('GET', '/v1/services/shop/instances');
  await until('the leavers are gone from the set', async () => {
    const { body } = await platform.call<{ items: { id: string }[] }>('GET', '/v1/services/shop/instances');
    return body.items.length === 3;
  });
  expect(left.status).toBe(200);
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
    for (const { id } of [...old, ...fresh]) expect(stream.instances.get(id)).toBeGreaterThan(0);
  }
  const events = await platform.call<{ items: { event: string; instance: string }[] }>(
    'GET',
    '/v1/services/shop/events',
  );
  for (const { id } of old)
    expect(events.body.items.filter((one) => one.instance === id).map((one) => one.event)).toEqual(
      expect.arrayContaining(['registered', 'leaving', 'deregistered']),
    );
});
