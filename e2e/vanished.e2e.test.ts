import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServiceResource, ZooKeeperConnection } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { startInstance, type Instance } from './harness/instance.js';
import { measured } from './harness/measured.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { until, untilValue } from './harness/until.js';
import { openSession } from './harness/znode.js';

/** Longer than a client of ZooKeeper waits between two attempts, which is 3 s at the most: who comes back is in time. */
const SUSPECT_MS = 6_000;

let platform: ControlledPlatform;
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start({ env: { EBBGATE_SUSPECT: `${String(SUSPECT_MS / 1_000)}s` } });
  instances = await Promise.all(Array.from({ length: 20 }, () => platform.startInstance({ wait: false })));
  await until('all are in use', async () => (await used()).length === instances.length);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

/** The peers of the published set that get requests. */
async function used(service = 'shop'): Promise<readonly string[]> {
  const { peers } = await platform.published(service);
  return peers
    .filter(({ state, weight, down }) => /up|suspect/.test(state) && weight > 0 && !down)
    .map(({ id }) => id);
}

const registered = async (): Promise<number> =>
  (await Promise.all(instances.map(({ id }) => platform.instance(id)))).filter((one) => one.registered)
    .length;

/** Every line of the controller's log about holds of `service`. */
function logged(service: string): readonly { readonly msg: string; readonly hold: string }[] {
  return readFileSync(join(platform.dir, 'controller.log'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes('"hold"'))
    .map((line) => JSON.parse(line) as { msg: string; hold: string; service: string })
    .filter((line) => line.service === service);
}

async function metric(name: string, service: string): Promise<readonly string[]> {
  const { text } = await platform.text('/metrics');
  return text.split('\n').filter((line) => line.startsWith(`${name}{service="${service}"`));
}

/** The end of a hold, and what it keeps. */
const holdsOf = (name: string): Promise<ServiceResource['holds']> =>
  platform.service(name).then(({ holds }) => holds);

test('all provider sessions of 20 instances expire at once while the instances live: no request fails, and all is as before by itself', async () => {
  await using traffic = platform.traffic();
  let fewest = Infinity;
  const look = async (): Promise<void> => {
    fewest = Math.min(fewest, (await used()).length);
  };
  for (const each of instances) each.cutOff(true);
  await until('no registration is left', async () => (await registered()) === 0, { timeoutMs: 30_000 });
  const { holds, problems } = await platform.service();
  expect(holds).toMatchObject([{ kind: 'last', until: null }]);
  expect(holds[0]?.instances).toHaveLength(20);
  expect(problems.map(({ code }) => code)).toEqual(['all_vanished']);
  expect(await metric('ebbgate_hold_ends_timestamp_seconds', 'shop')).toEqual([
    'ebbgate_hold_ends_timestamp_seconds{service="shop",kind="last"} +Inf',
  ]);
  // Far past settle and suspect time.
  const began = performance.now();
  await until('8 s have passed', async () => {
    await look();
    return performance.now() - began > 8_000;
  });
  expect(fewest).toBe(20);
  for (const each of instances) each.cutOff(false);
  const free = performance.now();
  await until(
    'all is as before',
    async () => {
      await look();
      return (await registered()) === 20 && (await holdsOf('shop')).length === 0;
    },
    { timeoutMs: 30_000 },
  );
  measured('way back to ZooKeeper free → all 20 registered again, nothing held', performance.now() - free);
  expect((await platform.service()).problems).toEqual([]);
  const states = new Set((await platform.published()).peers.map(({ state }) => state));
  expect([...states]).toEqual(['up']);
  expect(fewest).toBe(20);
  expect(await traffic.stop()).toEqual([]);
  const ended = logged('shop').filter(({ msg }) => msg.startsWith('hold ended'));
  expect(ended.length).toBeGreaterThan(0);
});

test('8 of 20 leave by their registrars: nothing is kept, no request fails', async () => {
  await using traffic = platform.traffic();
  const before = logged('shop').length;
  const leaving = instances.slice(12);
  await Promise.all(leaving.map((one) => platform.stopInstance(one)));
  await until('they are out', async () => (await used()).length === 12);
  expect(await holdsOf('shop')).toEqual([]);
  expect(logged('shop').slice(before)).toEqual([]);
  expect(await traffic.stop()).toEqual([]);
});

/** Registers instances by bare nodes, as a format without a word for leaving does. */
async function registerBare(session: ZooKeeperConnection, bare: readonly Instance[]): Promise<void> {
  for (const path of ['/services/plain', '/services/plain/providers'])
    await session.create(path, Buffer.alloc(0), {});
  for (const { id, host, port } of bare) {
    const data = Buffer.from(JSON.stringify({ id, host, port, version: 'v1' }));
    const made = await session.create(`/services/plain/providers/${id}`, data, { ephemeral: true });
    if (!made.ok) throw new Error(made.error.message);
  }
}

test('4 of 10 without a word are kept for the suspect time, explained, and then go; the last ones only by a person’s word', async () => {
  const bare = await Promise.all(Array.from({ length: 10 }, () => startInstance({ service: 'plain' })));
  const session = await openSession(platform.ports.zookeeper);
  try {
    await registerBare(session, bare);
    await platform.route('plain', '/plain');
    await until('all are in use', async () => (await used('plain')).length === 10);
    await using traffic = platform.traffic({ path: '/plain' });
    for (const { id } of bare.slice(6)) await session.remove(`/services/plain/providers/${id}`, -1);
    const [hold] = await untilValue(
      'they are suspects',
      () => holdsOf('plain'),
      (holds) => holds[0]?.instances.length === 4,
    );
    expect(hold).toMatchObject({ kind: 'suspect', by: null });
    const left = Date.parse(hold?.until ?? '') - Date.now();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(SUSPECT_MS);
    const described = await platform.cli('describe', 'service', 'plain');
    expect(described.stdout).toMatch(
      /Protection: +suspect: 4 instances .* until .*ebbgate hold plain --for .*ebbgate accept plain/,
    );
    const [end] = await metric('ebbgate_hold_ends_timestamp_seconds', 'plain');
    expect(Number(end?.split(' ')[1])).toBeCloseTo(Date.parse(hold?.until ?? '') / 1_000, 0);
    await until('they are gone', async () => (await used('plain')).length === 6);
    await platform.converged('plain');
    await Promise.all(bare.slice(6).map((one) => one.stop()));
    expect(await holdsOf('plain')).toEqual([]);
    const before = traffic.total();
    await until('more traffic', () => traffic.total() > before + 100);
    expect(await traffic.stop()).toEqual([]);
    const lines = logged('plain').filter((line) => line.hold === 'suspect');
    expect(lines.map(({ msg }) => msg.slice(0, 10))).toEqual(['hold began', 'hold ended']);

    for (const { id } of bare.slice(0, 6)) await session.remove(`/services/plain/providers/${id}`, -1);
    await until('all vanished', async () => (await holdsOf('plain'))[0]?.kind === 'last');
    await session.remove('/services/plain/providers', -1);
    await session.remove('/services/plain', -1);
    const [last] = await holdsOf('plain');
    expect(last).toMatchObject({ kind: 'last', until: null });
    expect(await used('plain')).toHaveLength(6);
    const accepted = await platform.cli('accept', 'plain', '--reason', 'switched off');
    expect(accepted).toMatchObject({ code: 0 });
    await until('nobody is left', async () => (await platform.published('plain')).peers.length === 0);
    expect((await platform.cli('events', 'plain')).stdout).toMatch(/loss_accepted +ann .*switched off/);
  } finally {
    await session.close();
    await Promise.all(bare.map((one) => one.stop()));
  }
});
