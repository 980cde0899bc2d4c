import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MutationResource } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { sendMany, startTraffic } from './harness/traffic.js';

let platform: ControlledPlatform;
const instances: RegisteredInstance[] = [];

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  for (const weight of [5, 3, 2]) instances.push(await platform.startInstance({ weight }));
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

test('weights 5/3/2 are obeyed within 1 % over 10,000 requests', async () => {
  const url = platform.gateways[0]!.url;
  const traffic = await sendMany({ url, count: 10_000 });
  expect(traffic.failed).toEqual([]);
  const shares = instances.map(({ id }) => (traffic.instances.get(id) ?? 0) / traffic.total());
  for (const [index, wanted] of [0.5, 0.3, 0.2].entries())
    expect(Math.abs((shares[index] ?? 0) - wanted), `share of instance ${String(index)}`).toBeLessThan(0.01);
});

test('weights, routes and instances change under traffic, without a reload and without a failed request', async () => {
  const before = platform.nginxPids();
  const traffic = platform.gateways.map(({ url }) => startTraffic({ url, rate: 100 }));
  const [first, second] = instances as [RegisteredInstance, RegisteredInstance];
  const changed = await platform.call<MutationResource>(
    'PATCH',
    `/v1/services/shop/instances/${first.id}`,
    { weight: 0, reason: 'try it' },
    { 'if-match': '*' },
  );
  expect(changed.status).toBe(200);
  expect(changed.body.published).toBe(true);
  expect(changed.body.changes.map(({ field, from, to }) => [field, from, to])).toEqual(
    expect.arrayContaining([
      ['weight', '5', '0'],
      ['traffic', '50 %', '0 %'],
      ['traffic', '30 %', '60 %'],
      ['traffic', '20 %', '40 %'],
    ]),
  );
  await platform.converged();
  const settled = await sendMany({ url: platform.gateways[1]!.url, count: 300 });
  expect(settled.instances.get(first.id)).toBeUndefined();
  const weighed = await platform.cli('weight', 'shop', `${first.id}=5`, `${second.id}=1`, '--reason', 'back');
  expect(weighed).toMatchObject({ code: 0 });
  const fourth = await platform.startInstance({ weight: 4 });
  const routed = await platform.cli('route', 'shop', '--path', '/other');
  expect(routed).toMatchObject({ code: 0 });
  await platform.converged();
  const after = await sendMany({ url: platform.gateways[0]!.url, path: '/other/thing', count: 300 });
  expect(after.instances.get(fourth.id)).toBeGreaterThan(50);
  await platform.stopInstance(fourth);
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
    expect(stream.total()).toBeGreaterThan(100);
  }
  expect(platform.nginxPids()).toBe(before);
});
