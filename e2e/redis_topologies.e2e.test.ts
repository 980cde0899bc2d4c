import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { redisCli, startClusterRig, startSentinelRig } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import { until } from './harness/until.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-topologies-'));
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Everybody on the newest sets within this, once a new Redis can be written. */
const HEALED_MS = 5_000;

function platformAt(url: string): Promise<ControlledPlatform> {
  return ControlledPlatform.start({ env: { EBBGATE_REDIS: url }, gateway: { redis: url } });
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
  await using platform = await platformAt(rig.url);
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
  await until('the replica is the master', () => redisCli(rig.replica.port, 'ROLE').startsWith('master'), {
    timeoutMs: 30_000,
  });
  const promoted = performance.now();
  await healed(platform, rig.replica.port, before.epoch);
  measured('Sentinel: master killed → newest sets everywhere', performance.now() - killed);
  expect(measured('Sentinel: promoted → newest sets everywhere', performance.now() - promoted)).toBeLessThan(
    HEALED_MS,
  );
  (await positions(platform)).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  expect(one.requests()).toBe(requests);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Cluster: the slot moves to another node, key by key, while sets are published; no request fails', async () => {
  await using rig = await startClusterRig(dir);
  const [from, to] = rig.nodes.map(({ port }) => port);
  if (from === undefined || to === undefined) throw new Error('no nodes');
  await using platform = await platformAt(rig.url);
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
