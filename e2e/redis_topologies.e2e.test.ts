import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { redisCli, startClusterRig, startSentinelRig, startTlsRedis } from '../control-plane/src/testkit.js';
import { Authority } from './harness/certificates.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { gatewayPlace, startGateway } from './harness/gateway.js';
import { measured } from './harness/measured.js';
import { readSet } from './harness/publish.js';
import { until } from './harness/until.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-topologies-'));
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Everybody on the newest sets within this, once a new Redis can be written. */
const HEALED_MS = 5_000;

function platformAt(url: string, gatewayUrl = url): Promise<ControlledPlatform> {
  return ControlledPlatform.start({ env: { EBBGATE_REDIS: url }, gateway: { redis: gatewayUrl } });
}

/** What docs/how-to/redis-users.md gives a gateway, with `more` for the topology; here for all gateways. */
function gatewayUser(port: number, more: readonly string[]): void {
  const gateways = ['gw', 'stats'].map((kind) => `~{ebb}:${kind}:gateway-*`).join(' ');
  redisCli(
    port,
    ...[
      'ACL',
      'SETUSER',
      'edge',
      'on',
      '>edge-pw',
      'resetkeys',
      'resetchannels',
      '-@all',
      '+ping',
      '+select',
    ],
    ...[
      '+subscribe',
      '&{ebb}:changed',
      '+hmget',
      '+zrangebyscore',
      '+evalsha',
      '+eval',
      '~{ebb}:meta',
      '~{ebb}:index',
    ],
    ...[
      '%R~{ebb}:set:*',
      `(+set ${gateways})`,
      '(+zadd ~{ebb}:gateways)',
      '(+publish &{ebb}:report)',
      ...more,
    ],
  );
}

/** That of control-plane/redis/users.acl, with `more` for the topology. */
function controllerUser(port: number, more: readonly string[]): void {
  const line = readFileSync(new URL('../control-plane/redis/users.acl', import.meta.url), 'utf8')
    .split('\n')
    .find((one) => one.startsWith('user controller '));
  const rules = (line ?? '')
    .split(' ')
    .filter((rule) => !rule.startsWith('#@'))
    .slice(2);
  redisCli(port, 'ACL', 'SETUSER', 'controller', ...rules, 'resetpass', '>controller-pw', ...more);
}

function meta(port: number): {
  readonly epoch: number;
  readonly generation: number;
  readonly sealed: boolean;
} {
  const [epoch, generation, sealed] = redisCli(
    port,
    ...['HMGET', '{ebb}:meta', 'epoch', 'generation', 'sealed'],
  ).split('\n');
  return { epoch: Number(epoch), generation: Number(generation), sealed: sealed === '1' };
}

/** Waits until the Redis at `port` has a sealed epoch above `epoch` of which every gateway has applied all. */
async function healed(platform: ControlledPlatform, port: number, epoch: number): Promise<void> {
  await until(
    'everybody is on the newest sets',
    async () => {
      const now = meta(port);
      if (!now.sealed || now.epoch <= epoch) return false;
      const fleet = await platform.fleet();
      return fleet.every(
        ({ state, applied }) =>
          state === 'live' && applied?.epoch === now.epoch && applied.generation >= now.generation,
      );
    },
    { timeoutMs: 30_000 },
  );
}

async function positions(platform: ControlledPlatform): Promise<readonly number[]> {
  return (await platform.fleet()).map(
    ({ applied }) => (applied?.epoch ?? 0) * 1e6 + (applied?.generation ?? 0),
  );
}

test('Sentinel: the master dies with a write that its replica never had; no request fails, and nothing is forgotten', async () => {
  await using rig = await startSentinelRig(dir);
  for (const { port } of [rig.master, rig.replica]) {
    controllerUser(port, []);
    gatewayUser(port, ['+role']);
  }
  for (const { port } of rig.sentinels)
    redisCli(
      port,
      'ACL',
      'SETUSER',
      'ebbgate',
      'on',
      '>watch-pw',
      'resetchannels',
      '-@all',
      '+sentinel|master',
    );
  vi.stubEnv('EBBGATE_REDIS_PASSWORD', 'edge-pw');
  vi.stubEnv('EBBGATE_REDIS_SENTINEL_PASSWORD', 'watch-pw');
  const as = (user: string): string => `${rig.url.replace('://', `://${user}@`)}?sentinel_user=ebbgate`;
  await using platform = await platformAt(
    `${as('controller:controller-pw')}&sentinel_password=watch-pw`,
    as('edge'),
  );
  const [one] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
  await using traffic = platform.traffic();
  // The replica hears nothing of the drain, and takes over without it.
  rig.replica.server.child.kill('SIGSTOP');
  const drain = await platform.drain(one.id);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  const [before, at, requests] = [meta(rig.master.port), await positions(platform), one.requests()];
  rig.master.server.child.kill('SIGKILL');
  rig.replica.server.child.kill('SIGCONT');
  const killed = performance.now();
  const named = (port: number): boolean =>
    redisCli(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'ebbgate').endsWith(String(rig.replica.port));
  await until(
    'every sentinel names the replica as the master',
    () => rig.sentinels.every(({ port }) => named(port)),
    {
      timeoutMs: 30_000,
    },
  );
  const promoted = performance.now();
  await healed(platform, rig.replica.port, before.epoch);
  // What the old master had acknowledged and the new one never had is published again.
  const payload = redisCli(rig.replica.port, 'HGET', '{ebb}:set:shop', 'payload');
  const { peers } = readSet(payload);
  expect(peers.find(({ id }) => id === one.id)).toMatchObject({ state: 'draining', weight: 0 });
  measured('Sentinel: master killed → newest sets everywhere', performance.now() - killed);
  expect(
    measured('Sentinel: named by every sentinel → newest sets everywhere', performance.now() - promoted),
  ).toBeLessThan(HEALED_MS);
  (await positions(platform)).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  expect(one.requests()).toBe(requests);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Cluster: the slot moves to another node, key by key, while sets are published; no request fails', async () => {
  await using rig = await startClusterRig(dir);
  const [from, to] = rig.nodes.map(({ port }) => port);
  if (from === undefined || to === undefined) throw new Error('no nodes');
  for (const { port } of rig.nodes) {
    controllerUser(port, ['+cluster|slots', '+asking']);
    gatewayUser(port, ['+cluster|slots', '+asking']);
  }
  vi.stubEnv('EBBGATE_REDIS_PASSWORD', 'edge-pw');
  const as = (user: string): string => rig.url.replace('://', `://${user}@`);
  await using platform = await platformAt(as('controller:controller-pw'), as('edge'));
  const [one] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
  await using traffic = platform.traffic();
  const [before, at] = [meta(from), await positions(platform)];
  const slot = redisCli(from, 'CLUSTER', 'KEYSLOT', '{ebb}:meta');
  const [fromId = '', toId = ''] = [from, to].map((port) => redisCli(port, 'CLUSTER', 'MYID'));
  redisCli(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  redisCli(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
  const drain = await platform.drain(one.id);
  for (;;) {
    const key = redisCli(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '1');
    if (key === '') break;
    redisCli(from, 'MIGRATE', '127.0.0.1', String(to), key, '0', '5000');
  }
  for (const port of [to, from]) redisCli(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
  const moved = performance.now();
  await healed(platform, to, before.epoch);
  expect(measured('Cluster: slot moved → newest sets everywhere', performance.now() - moved)).toBeLessThan(
    HEALED_MS,
  );
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  (await positions(platform)).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('TLS: both sides show a certificate, and go by the authority and the name that the URL says', async () => {
  const authority = new Authority(dir, 'redis-ca');
  const files = authority.sign('redis.internal');
  await using redis = await startTlsRedis(dir, { ...files, ca: authority.ca });
  const client = authority.sign('client');
  const url = (name: string): string =>
    `rediss://127.0.0.1:${redis.port}?server_name=${name}&ca=${authority.ca}&cert=${client.cert}&key=${client.key}`;
  await using platform = await platformAt(url('redis.internal'));
  await platform.startInstance();
  await platform.route();
  const [traffic, stranger] = [
    platform.traffic(),
    await startGateway(await gatewayPlace('stranger', dir, redis.port), { redis: url('other.internal') }),
  ];
  try {
    await until('one that expects another name believes nobody', () =>
      /certificate host mismatch/.test(readFileSync(stranger.errorLog, 'utf8')),
    );
    expect((await platform.fleet()).map(({ id }) => id).sort()).toEqual(['gateway-1', 'gateway-2']);
  } finally {
    await stranger.stop();
  }
  expect(await traffic.stop()).toEqual([]);
});
