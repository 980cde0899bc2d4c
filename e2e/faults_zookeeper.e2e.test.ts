import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from 'undici';
import { PROVIDER_SESSION_MS, type RegisteredInstance } from './harness/registered_instance.js';
import { measured } from './harness/measured.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { timePasses, until } from './harness/until.js';

let platform: ControlledPlatform;
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  // Whoever has not come back within the settle time is taken out: long enough for a busy machine.
  platform = await ControlledPlatform.start({ env: { EBBGATE_SETTLE: '10s' } });
  instances = await Promise.all([
    platform.startInstance(),
    platform.startInstance(),
    platform.startInstance(),
  ]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

/** The peers of the published set that get requests. */
async function eligible(): Promise<readonly string[]> {
  const { peers } = await platform.published();
  const used = peers.filter(({ state, weight, down }) => /up|suspect/.test(state) && weight > 0 && !down);
  return used.map(({ id }) => id).sort();
}

const all = (): readonly string[] => instances.map(({ id }) => id).sort();

async function state(): Promise<string> {
  const { body } = await platform.call<{ readonly zookeeper: { readonly state: string } }>('GET', '/readyz');
  return body.zookeeper.state;
}

/** Every instance is registered again, and ready to be removed again: nothing is protected any more. */
async function calm(): Promise<void> {
  await platform.ready();
  await until(
    'every instance is registered again',
    async () => {
      const seen = await Promise.all(instances.map(({ id }) => platform.instance(id)));
      return seen.every(({ registered }) => registered) && (await platform.service()).protection === null;
    },
    { timeoutMs: 30_000 },
  );
}

test('ZooKeeper killed and started again: the sets are kept, mutations answer 503, then all is as before', async () => {
  await using traffic = platform.traffic();
  await platform.zookeeper.kill();
  await until('the controller says so', async () => (await state()) !== 'ok');
  const refused = await platform.call<{ readonly code: string }>(
    'POST',
    `/v1/services/shop/instances/${instances[0]!.id}/drain`,
    {},
  );
  expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
  const before = traffic.total();
  await until('more traffic', () => traffic.total() > before + 200);
  expect(await eligible()).toEqual(all());
  await platform.zookeeper.start();
  const back = performance.now();
  await calm();
  measured('ZooKeeper restarted → registry complete again', performance.now() - back);
  expect(await eligible()).toEqual(all());
  // It works: a drain and back.
  expect(await platform.ended(await platform.drain(instances[0]!.id))).toMatchObject({ result: 'drained' });
  await platform.undrain(instances[0]!.id);
  expect(await traffic.stop()).toEqual([]);
});

test('ZooKeeper frozen for longer than every session: all providers expire at once, the instances live, nothing is lost', async () => {
  await using traffic = platform.traffic();
  let fewest = Infinity;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      fewest = Math.min(fewest, (await eligible()).length);
      await timePasses('until the next look', 50);
    }
  })();
  await platform.zookeeper.freeze();
  // They cannot come back at once, so the first view after the thaw is complete, fresh and empty.
  for (const each of instances) each.cutOff(true);
  const began = performance.now();
  await until(
    'frozen for longer than every session',
    () => performance.now() - began > 2 * PROVIDER_SESSION_MS,
  );
  platform.zookeeper.thaw();
  await until('the registry is seen empty', async () => {
    const seen = await Promise.all(instances.map(({ id }) => platform.instance(id)));
    return seen.every(({ registered }) => !registered);
  });
  expect((await platform.service()).protection).toMatch(/settle|suspects/);
  const before = traffic.total();
  await until('more traffic', () => traffic.total() > before + 200);
  expect(await eligible()).toEqual(all());
  for (const each of instances) each.cutOff(false);
  const back = performance.now();
  await calm();
  measured(
    'ZooKeeper thawed past every session, way back free → all registered again',
    performance.now() - back,
  );
  watching.abort();
  await watch;
  expect(fewest).toBe(instances.length);
  await until('every instance is used', () => instances.every(({ requests }) => requests() > 0));
  expect(await traffic.stop()).toEqual([]);
});

test('a drain that is published before ZooKeeper goes away is confirmed without it, and written down after', async () => {
  const [instance] = instances;
  await using traffic = platform.traffic();
  // Kept open until ZooKeeper is gone, so that it cannot be over before.
  const kept = [...platform.gateways, ...platform.gateways, ...platform.gateways].map(({ url }) =>
    request(`${url}/?delay=4`),
  );
  await until('the instance has one of them', async () =>
    Object.values((await platform.instance(instance!.id)).in_flight).some((count) => (count ?? 0) > 0),
  );
  const id = await platform.drain(instance!.id);
  await platform.converged();
  await platform.zookeeper.kill();
  await until('the controller says so', async () => (await state()) !== 'ok');
  expect((await platform.operation(id)).result).toBeNull();
  for (const one of kept) {
    const answer = await one;
    await answer.body.dump();
    expect(answer.statusCode).toBe(200);
  }
  const confirmed = await until('it is confirmed with ZooKeeper away', async () => {
    const { drain } = await platform.instance(instance!.id);
    return drain?.drained && drain;
  });
  expect(confirmed).toEqual({ drained: true, waiting_for: [], in_flight: 0 });
  expect((await platform.operation(id)).instances).toMatchObject([{ drained: true }]);
  const before = instance!.requests();
  await platform.zookeeper.start();
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  await calm();
  expect(instance!.requests()).toBe(before);
  await platform.undrain(instance!.id);
  expect(await traffic.stop()).toEqual([]);
});
