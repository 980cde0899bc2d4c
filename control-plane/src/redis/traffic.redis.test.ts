import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import type { Counts } from '../model/release_gates.js';
import type { GatewayTraffic } from '../model/release_ports.js';
import { localRedis } from '../testing/redis_address.js';
import { createRecordingLog } from '../testing/log.js';
import { startTcpProxy } from '../testing/tcp_proxy.js';
import { trafficContract } from '../testing/traffic.contract.js';
import { until } from '../testing/until.js';
import { RedisLink } from './client.js';
import { KEYS } from './keys.js';
import { createTrafficReader } from './traffic.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-traffic-'));
const log = createRecordingLog();
let port: number;
let redis: LocalProcess;
let cli: RedisLink;

beforeAll(async () => {
  port = await reservePort();
  redis = await launchRedis({ dir, port });
  const address = localRedis(port);
  cli = new RedisLink({ address, name: 'cli', log, clock, commandTimeoutMs: 10_000 });
  await cli.start();
  await until(() => expect(cli.state().state).toBe('connected'));
});
afterAll(async () => {
  await cli.close();
  await redis.stop();
  rmSync(dir, { recursive: true });
});
beforeEach(() => cli.run('FLUSHALL'));

trafficContract('Redis', async () => {
  const proxy = await startTcpProxy(port);
  const write = (id: string, text: string) => cli.run('SET', KEYS.stats(id), text);
  return {
    reader: () => createTrafficReader({ url: `redis://127.0.0.1:${String(proxy.port)}`, log, clock }),
    connect: (mode) => {
      proxy.setMode(mode === 'away' ? 'cut' : 'pass');
    },
    count: (traffic) => write(traffic.gateway, onWire(traffic)),
    damage: (id) => write(id, '{'),
    close: () => proxy.close(),
  };
});

/** As docs/contract has it. */
function onWire({ gateway: id, boot, seq, services }: GatewayTraffic): string {
  const versionOf = ({ requests, errors, ms, buckets }: Counts) => ({
    ...{ requests, errors, latency_ms_sum: ms },
    latency_ms_buckets: buckets.flatMap((count, index) => (count === 0 ? [] : [[index + 1, count]])),
  });
  const written = Object.entries(services).map(([service, counted]) => {
    const versions = Object.entries(counted).map(([version, counts]) => [version, versionOf(counts)]);
    return [service, { versions: Object.fromEntries(versions) as object }];
  });
  return JSON.stringify({
    ...{ v: 1, id, boot, ...(seq === null ? {} : { seq }) },
    services: Object.fromEntries(written) as object,
  });
}
