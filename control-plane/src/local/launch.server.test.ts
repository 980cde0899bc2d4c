import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reservePort } from './port_reservation.js';
import { launch } from './process.js';
import { launchRedis } from './redis.js';
import { launchZooKeeper } from './zookeeper.js';

test('redis and ZooKeeper start on private ports and stop', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-launch-'));
  const redis = await launchRedis({ dir: join(dir, 'redis'), port: await reservePort() });
  const zookeeper = await launchZooKeeper({ dir: join(dir, 'zk'), port: await reservePort() });
  await Promise.all([redis.stop(), zookeeper.stop()]);
  await redis.stop();
  expect(redis.child.exitCode).toBe(0);
  expect(zookeeper.child.signalCode ?? zookeeper.child.exitCode).not.toBeNull();
}, 60_000);

test('a server that ends while starting fails with the end of its log', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-launch-'));
  const port = await reservePort();
  await using redis = await launchRedis({ dir, port });
  await expect(launchRedis({ dir: join(dir, 'second'), port })).rejects.toThrow(/another process answers/);
  await expect(
    launch({
      name: 'nothing',
      command: '/no/such/program',
      args: [],
      logFile: join(dir, 'none.log'),
      ready: () => Promise.resolve(false),
    }),
  ).rejects.toThrow(/ENOENT/);
  expect(redis.pid).toBeGreaterThan(0);
});
