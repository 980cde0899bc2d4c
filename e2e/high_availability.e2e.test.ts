import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../control-plane/src/testkit.js';
import { runCli } from './harness/cli.js';
import { ComposedPlatform, type Composed } from './harness/composed.js';
import { leaderOf } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import type { Registrar } from './harness/registrar.js';
import { throughTwoDoors } from './harness/two_doors.js';
import { until } from './harness/until.js';

/*
 * No single process matters: the services of docs/how-to/compose/high-availability.yml run as processes, and one of each kind is killed -9
 * under traffic, the one that leads where one leads. No request fails, and a drain is proven each time.
 */

let platform: ComposedPlatform;
let one: Registrar;

beforeAll(async () => {
  platform = await ComposedPlatform.start();
  const env = { EBBGATE_API: platform.apis };
  [one] = await Promise.all([platform.register({ env }), platform.register({ env })]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

/** Drains the instance and gives it back, as an operator with both addresses. */
async function operate(): Promise<void> {
  const env = { ...platform.env, EBBGATE_API: platform.apis };
  for (const args of [
    ['drain', '-s', 'shop', one.id, '--wait', '--timeout', '60s'],
    ['undrain', '-s', 'shop', one.id],
  ])
    await until(
      `${args[0]!} is done`,
      async () => {
        const { code, stdout, stderr } = await runCli(args, env);
        if (code !== 0 && code !== 7) throw new Error(`${args[0]!}: ${String(code)}\n${stdout}${stderr}`);
        return code === 0;
      },
      { timeoutMs: 60_000 },
    );
}

async function found(all: readonly Composed[], is: (one: Composed) => Promise<boolean>): Promise<Composed> {
  return until('there is one that leads', async () => {
    for (const candidate of all) if (candidate.running() && (await is(candidate))) return candidate;
    return undefined;
  });
}
const leadsZooKeeper = ({ port }: Composed): Promise<boolean> =>
  ask(port, 'srvr', 'Mode: leader').catch(() => false);
const isMaster = async (server: Composed): Promise<boolean> =>
  (await platform.askAsSentinel(server, 'ROLE')).startsWith('master');
/** `ROLE` of a replica: its own, the master's address and port, the state of the link. */
const isReplica = async (server: Composed): Promise<boolean> =>
  /^slave\n\S+\n\d+\nconnected\n/.test(await platform.askAsSentinel(server, 'ROLE'));
const leadsControllers = async ({ port }: Composed): Promise<boolean> =>
  (await leaderOf([{ api: `http://127.0.0.1:${String(port)}` }])) !== undefined;

test.each<readonly [string, () => Promise<Composed>, (back: Composed) => Promise<boolean>]>([
  [
    'the ZooKeeper that leads',
    () => found(platform.zookeepers, leadsZooKeeper),
    ({ port }) => ask(port, 'srvr', 'Mode: follower'),
  ],
  [
    'a sentinel',
    () => Promise.resolve(platform.sentinels[0]!),
    async (back) => (await platform.askAsSentinel(back, 'PING')) === 'PONG',
  ],
  ['the Redis that is the master', () => found(platform.redis, isMaster), isReplica],
  [
    'the controller that leads',
    () => found(platform.controllers, leadsControllers),
    ({ port }) => ask(port, 'GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
  ],
])(
  '%s is killed: no request fails, a drain is proven, and it comes back as one of the others',
  async (what, find, isBack) => {
    await using traffic = throughTwoDoors(platform.gateways.map(({ url }) => url));
    const killed = await find();
    await killed.kill();
    const began = performance.now();
    await operate();
    measured(`${what} killed → an instance drained, proven, and given back`, performance.now() - began);
    await killed.start();
    await until(`${killed.name} is one of the others`, () => isBack(killed), { timeoutMs: 60_000 });
    await platform.settled();
    await traffic.stop();
    expect({ failed: traffic.failed, retried: traffic.retried() }).toEqual({ failed: [], retried: 0 });
    expect(traffic.total()).toBeGreaterThan(50);
  },
);

test('the Redis that is the master is killed and starts again at once, empty: no request fails, and all is published again', async () => {
  await using traffic = throughTwoDoors(platform.gateways.map(({ url }) => url));
  const killed = await found(platform.redis, isMaster);
  await killed.restart();
  await operate();
  const others = platform.redis.length - 1;
  await until('the others follow the one that is the master', async () => {
    const replicas = await Promise.all(platform.redis.map((server) => isReplica(server)));
    return replicas.filter(Boolean).length === others;
  });
  await platform.settled();
  await traffic.stop();
  expect({ failed: traffic.failed, retried: traffic.retried() }).toEqual({ failed: [], retried: 0 });
});

test('a gateway is killed: clients get their answers from the other one, and a drain is proven once it is back', async () => {
  await using traffic = throughTwoDoors(platform.gateways.map(({ url }) => url));
  const [killed] = platform.gateways;
  await killed!.kill();
  await until('clients have noticed', () => traffic.retried() > 20);
  await killed!.start();
  await operate();
  await platform.settled();
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
});

test('the users of Redis and of the sentinels may do all that they try', async () => {
  for (const server of platform.redis) {
    const errors = await platform.askAsSentinel(server, 'INFO', 'errorstats');
    expect(errors).toContain('# Errorstats');
    expect(errors).not.toMatch(/NOPERM|WRONGPASS/);
  }
  for (const { name } of platform.sentinels)
    expect(readFileSync(join(platform.dir, name, 'log'), 'utf8')).not.toMatch(/NOPERM|WRONGPASS/);
});
