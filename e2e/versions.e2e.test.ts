import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MutationResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import type { Registrar } from './harness/registrar.js';
import type { Streams } from './harness/streams.js';
import { sendMany } from './harness/traffic.js';
import { until } from './harness/until.js';
import { UpPlatform } from './harness/up_platform.js';

let platform: UpPlatform;
let traffic: Streams;

beforeAll(async () => {
  platform = await UpPlatform.start();
});
afterAll(() => platform[Symbol.asyncDispose]());

async function stopTraffic(): Promise<void> {
  expect(await traffic.stop()).toEqual([]);
  for (const stream of traffic.streams) expect(stream.total()).toBeGreaterThan(100);
}

/** The versions that answer `count` requests through the nth gateway. */
async function answering(gateway: number, count: number): Promise<ReadonlyMap<string, number>> {
  const sent = await sendMany({ url: platform.gateways[gateway]?.url ?? '', count });
  return sent.versions;
}

/** By the command line, as a person does it: drain, stop, start the new version under the same identity, undrain. */
async function upgradeByHand(old: Registrar, version: string): Promise<Registrar> {
  const { id, port } = old;
  const options = ['--wait', '--timeout', '30s', '--reason', version];
  const drain = await platform.cli('drain', '-s', 'shop', id, ...options);
  expect(drain, drain.stderr).toMatchObject({ code: 0 });
  expect(await old.leave()).toBe(0);
  const next = await platform.register({ id, port, version });
  expect((await platform.instance(id)).effective.state).toBe('draining');
  expect(await platform.cli('undrain', '-s', 'shop', id)).toMatchObject({ code: 0 });
  await platform.converged();
  return next;
}

/** The same by the API, of an instance in this process. */
async function upgrade(old: RegisteredInstance, version: string): Promise<RegisteredInstance> {
  const { id, port } = old;
  expect(await platform.ended(await platform.drain(id))).toMatchObject({ result: 'drained' });
  await old.withdraw();
  const next = await platform.startInstance({ id, port, version });
  expect((await platform.instance(id)).effective.state).toBe('draining');
  await platform.undrain(id);
  return next;
}

test('v1 → v2 → v3 in place, twice upgraded, under traffic: nothing fails', async () => {
  let [byHand, one, two] = await Promise.all([
    platform.register({ id: 'one' }),
    platform.startInstance({ id: 'two' }),
    platform.startInstance({ id: 'three' }),
  ]);
  await platform.route();
  traffic = platform.traffic({ rate: 60 });
  for (const [gateway, version] of ['v2', 'v3'].entries()) {
    byHand = await upgradeByHand(byHand, version);
    one = await upgrade(one, version);
    two = await upgrade(two, version);
    expect([...(await answering(gateway, 60)).keys()]).toEqual([version]);
  }
  await stopTraffic();
  expect(traffic.streams[0]?.versions.size).toBe(3);
  expect(await byHand.leave()).toBe(0);
  await Promise.all([one, two].map((each) => platform.stopInstance(each)));
});

test('v1 → v2 → v3 beside each other by shares, twice, then the old version drained: nothing fails', async () => {
  const start = (version: string): Promise<readonly RegisteredInstance[]> =>
    Promise.all([platform.startInstance({ version }), platform.startInstance({ version })]);
  const share = async (shares: Readonly<Record<string, number>>): Promise<void> => {
    const path = '/v1/services/shop/versions';
    const answer = await platform.call('PATCH', path, shares, { 'if-match': '*' });
    expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 });
    await platform.converged();
  };
  let old = await start('v1');
  await platform.route();
  traffic = platform.traffic({ rate: 60 });
  for (const [from, to] of [
    ['v1', 'v2'],
    ['v2', 'v3'],
  ] as const) {
    await share({ [from]: 100 });
    const fresh = await start(to);
    expect([...(await answering(0, 100)).keys()]).toEqual([from]);
    await share({ [to]: 20, [from]: 80 });
    const canary = await answering(1, 1_000);
    expect((canary.get(to) ?? 0) / 1_000).toBeCloseTo(0.2, 1);
    await share({ [to]: 100, [from]: 0 });
    const selector = { service: 'shop', version: from };
    const drain = await platform.call<MutationResource>('POST', '/v1/drains', { selector, timeout: '30s' });
    expect(drain, JSON.stringify(drain.body)).toMatchObject({ status: 202 });
    expect(await platform.ended(drain.body.operation?.id ?? '')).toMatchObject({ result: 'drained' });
    expect([...(await answering(0, 100)).keys()]).toEqual([to]);
    await Promise.all(old.map((instance) => platform.stopInstance(instance)));
    old = fresh;
  }
  await stopTraffic();
  await until('only the newest version is left', async () => {
    const { body } = await platform.call<{ items: { version: string; registered: boolean }[] }>(
      'GET',
      '/v1/services/shop/instances',
    );
    return body.items.filter((one) => one.registered).every((one) => one.version === 'v3');
  });
});
