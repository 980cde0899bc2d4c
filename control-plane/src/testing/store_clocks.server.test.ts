import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts } from '../redis/scripts.js';
import { readZooKeeperTime } from '../zookeeper/clock.js';
import { ZooKeeperLink } from '../zookeeper/link.js';
import { createRecordingLog } from './log.js';
import { storeClocksContract } from './store_clocks.contract.js';
import { startTcpProxy } from './tcp_proxy.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-store-clocks-'));
const ports = { redis: 0, zookeeper: 0 };
let servers: readonly LocalProcess[];

beforeAll(async () => {
  ports.redis = await reservePort();
  ports.zookeeper = await reservePort();
  servers = await Promise.all([
    launchRedis({ dir: join(dir, 'redis'), port: ports.redis }),
    launchZooKeeper({ dir: join(dir, 'zookeeper'), port: ports.zookeeper }),
  ]);
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(dir, { recursive: true });
});

storeClocksContract('an installation', async () => {
  const proxies = {
    redis: await startTcpProxy(ports.redis),
    zookeeper: await startTcpProxy(ports.zookeeper),
  };
  const log = createRecordingLog();
  const link = new ZooKeeperLink({
    ...{ connect: `127.0.0.1:${String(proxies.zookeeper.port)}`, sessionTimeoutMs: 6_000 },
    ...{ log, clock, random: Math.random },
  });
  const scripts = await loadScripts(fileURLToPath(new URL('../../../lua/redis', import.meta.url)));
  const publisher = createPublisher({
    ...{ url: `redis://127.0.0.1:${String(proxies.redis.port)}`, log, clock, scripts },
  });
  await link.start();
  await publisher.start();
  return {
    clocks: { zookeeper: () => readZooKeeperTime(link, '/ebbgate'), redis: () => publisher.time() },
    wall: () => clock.wall(),
    connect: (store, mode) => {
      proxies[store].setMode(mode === 'away' ? 'cut' : 'pass');
    },
    close: async () => {
      await publisher.close();
      await link.close();
      for (const proxy of Object.values(proxies)) await proxy.close();
    },
  };
});
