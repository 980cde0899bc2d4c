import { afterAll, beforeAll, expect, test } from 'vitest';
import { startStack, type Registered, type Stack } from './harness/stack.js';
import { sendMany, startTraffic, type Traffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let stack: Stack;
let traffic: readonly Traffic[] = [];

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

async function stopTraffic(): Promise<void> {
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
    expect(stream.total()).toBeGreaterThan(100);
  }
}

/** Drain, stop, start the new version under the same identity, one after the other. */
async function upgradeInPlace(fleet: readonly Registered[], version: string): Promise<readonly Registered[]> {
  const upgraded: Registered[] = [];
  for (const instance of fleet) {
    const { id, port } = instance;
    const drain = await stack.cli(
      'drain',
      '-s',
      'shop',
      id,
      '--wait',
      '--timeout',
      '30s',
      '--reason',
      version,
    );
    expect(drain, drain.stderr).toMatchObject({ code: 0 });
    expect(await instance.leave()).toBe(0);
    upgraded.push(await stack.register({ id, port, version }));
    expect((await stack.instance('shop', id)).effective.state).toBe('draining');
    expect(await stack.cli('undrain', '-s', 'shop', id)).toMatchObject({ code: 0 });
    await stack.converged('shop');
  }
  return upgraded;
}

test('v1 → v2 → v3 in place, twice upgraded, under traffic: nothing fails', async () => {
  let fleet: readonly Registered[] = await Promise.all(
    ['one', 'two', 'three'].map((id) => stack.register({ id, version: 'v1' })),
  );
  await stack.route('shop');
  traffic = stack.gateways.map((url) => startTraffic({ url, rate: 100 }));
  fleet = await upgradeInPlace(fleet, 'v2');
  expect([...(await sendMany({ url: stack.gateways[0] ?? '', count: 60 })).versions.keys()]).toEqual(['v2']);
  fleet = await upgradeInPlace(fleet, 'v3');
  expect([...(await sendMany({ url: stack.gateways[1] ?? '', count: 60 })).versions.keys()]).toEqual(['v3']);
  await stopTraffic();
  expect(traffic[0]?.versions.size).toBe(3);
  await Promise.all(fleet.map((instance) => instance.leave()));
});

test('v1 → v2 → v3 beside each other by shares, twice, then the old version drained: nothing fails', async () => {
  let old = await Promise.all([stack.register({ version: 'v1' }), stack.register({ version: 'v1' })]);
  await stack.route('shop');
  traffic = stack.gateways.map((url) => startTraffic({ url, rate: 100 }));
  for (const [from, to] of [
    ['v1', 'v2'],
    ['v2', 'v3'],
  ] as const) {
    expect(await stack.cli('weight', 'shop', '--version', `${from}=100`)).toMatchObject({ code: 0 });
    const fresh = await Promise.all([stack.register({ version: to }), stack.register({ version: to })]);
    await stack.converged('shop');
    const still = await sendMany({ url: stack.gateways[0] ?? '', count: 100 });
    expect([...still.versions.keys()]).toEqual([from]);
    expect(await stack.cli('weight', 'shop', '--version', `${to}=20,${from}=80`)).toMatchObject({ code: 0 });
    await stack.converged('shop');
    const canary = await sendMany({ url: stack.gateways[1] ?? '', count: 1_000 });
    expect((canary.versions.get(to) ?? 0) / 1_000).toBeCloseTo(0.2, 1);
    expect(await stack.cli('weight', 'shop', '--version', `${to}=100,${from}=0`)).toMatchObject({ code: 0 });
    await stack.converged('shop');
    const drained = await stack.cli('drain', '-s', 'shop', '--version', from, '--wait', '--timeout', '30s');
    expect(drained, drained.stderr).toMatchObject({ code: 0 });
    const after = await sendMany({ url: stack.gateways[0] ?? '', count: 100 });
    expect([...after.versions.keys()]).toEqual([to]);
    await Promise.all(old.map((instance) => instance.leave()));
    old = fresh;
  }
  await stopTraffic();
  await until('only the newest version is left', async () => {
    const { body } = await stack.call<{ items: { version: string; registered: boolean }[] }>(
      'GET',
      '/v1/services/shop/instances',
    );
    return body.items.filter((one) => one.registered).every((one) => one.version === 'v3');
  });
});
