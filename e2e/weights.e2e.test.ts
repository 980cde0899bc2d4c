import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MutationResource } from '../control-plane/src/testkit.js';
import { startStack, type Registered, type Stack } from './harness/stack.js';
import { sendMany, startTraffic } from './harness/traffic.js';

let stack: Stack;
const instances: Registered[] = [];

beforeAll(async () => {
  stack = await startStack();
  for (const weight of [5, 3, 2]) instances.push(await stack.register({ weight }));
  await stack.route('shop');
});
afterAll(() => stack[Symbol.asyncDispose]());

test('weights 5/3/2 are obeyed within 1 % over 10,000 requests', async () => {
  const url = stack.gateways[0] ?? '';
  const traffic = await sendMany({ url, count: 10_000 });
  expect(traffic.failed).toEqual([]);
  const shares = instances.map(({ id }) => (traffic.instances.get(id) ?? 0) / traffic.total());
  for (const [index, wanted] of [0.5, 0.3, 0.2].entries())
    expect(Math.abs((shares[index] ?? 0) - wanted), `share of instance ${String(index)}`).toBeLessThan(0.01);
});

test('weights, routes and instances change under traffic, without a reload and without a failed request', async () => {
  const before = await stack.nginxPids();
  const traffic = stack.gateways.map((url) => startTraffic({ url, rate: 150 }));
  const [first, second] = instances as [Registered, Registered];
  const changed = await stack.call<MutationResource>(
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
  await stack.converged('shop');
  const settled = await sendMany({ url: stack.gateways[1] ?? '', count: 300 });
  expect(settled.instances.get(first.id)).toBeUndefined();
  const weighed = await stack.cli('weight', 'shop', `${first.id}=5`, `${second.id}=1`, '--reason', 'back');
  expect(weighed).toMatchObject({ code: 0 });
  const fourth = await stack.register({ weight: 4 });
  const routed = await stack.cli('route', 'shop', '--path', '/other');
  expect(routed).toMatchObject({ code: 0 });
  await stack.converged('shop');
  const after = await sendMany({ url: stack.gateways[0] ?? '', path: '/other/thing', count: 300 });
  expect(after.instances.get(fourth.id)).toBeGreaterThan(50);
  expect(await fourth.leave()).toBe(0);
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
    expect(stream.total()).toBeGreaterThan(100);
  }
  expect(await stack.nginxPids()).toBe(before);
});
