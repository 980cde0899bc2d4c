import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { redisCli } from '../../control-plane/src/testkit.js';
import { attempt, type RedisServers, type Topology } from './redis_servers.js';
import { until } from './until.js';

/** What happens to Redis, whatever its topology. */
export interface RedisFault {
  readonly what: string;
  readonly on: readonly Topology[];
  /** What must be there first; then `change` moves the sets on. */
  readonly before?: (servers: RedisServers) => void | Promise<void>;
  /** Resolves once it is in force. `noticed` waits until the controller says of itself that it is not ready. */
  readonly inflict: (servers: RedisServers, noticed: () => Promise<void>) => void | Promise<void>;
  /** Resolves once the servers are well again: from then on time counts. */
  readonly mend: (servers: RedisServers) => void | Promise<void>;
}

const ALL: readonly Topology[] = ['one server', 'Sentinel', 'Cluster'];
const META = '{ebb}:meta';

/** All holders at once, so that none has the keys for another. */
async function restartAll(servers: RedisServers, prepare: (dir: string) => void): Promise<void> {
  await Promise.all(servers.holders.map((one) => one.restart(prepare)));
}

/** Those that let the roles change come last. */
export const REDIS_FAULTS: readonly RedisFault[] = [
  {
    what: 'emptied (FLUSHALL)',
    on: ALL,
    inflict: (servers) => {
      redisCli(servers.writable().port, 'FLUSHALL');
    },
    mend: () => undefined,
  },
  {
    what: 'swapped for an empty database (SWAPDB)',
    on: ['one server', 'Sentinel'],
    inflict: (servers) => {
      redisCli(servers.writable().port, 'SWAPDB', '0', '1');
    },
    mend: () => undefined,
  },
  {
    what: 'out of memory, and evicting every key',
    on: ALL,
    inflict: async (servers) => {
      const { port } = servers.writable();
      redisCli(port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      redisCli(port, 'CONFIG', 'SET', 'maxmemory', '1');
      await until('all is evicted', () => attempt(port, 'EXISTS', META) === '0');
    },
    mend: (servers) => {
      for (const { port } of servers.holders) redisCli(port, 'CONFIG', 'SET', 'maxmemory', '0');
    },
  },
  {
    what: 'loading its data (LOADING)',
    on: ALL,
    inflict: async (servers) => {
      const { port } = servers.writable();
      redisCli(port, 'CONFIG', 'SET', 'key-load-delay', '200000');
      redisCli(port, 'CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024');
      spawn('redis-cli', ['-p', String(port), 'DEBUG', 'RELOAD'], { stdio: 'ignore' });
      await until('it loads', () => attempt(port, 'EXISTS', META).includes('LOADING'));
    },
    mend: async (servers) => {
      const { port } = servers.writable();
      await until('it has loaded', () => attempt(port, 'EXISTS', META) === '1', { everyMs: 100 });
      redisCli(port, 'CONFIG', 'SET', 'key-load-delay', '0');
    },
  },
  {
    what: 'read-only (READONLY)',
    on: ['one server'],
    inflict: async (servers, noticed) => {
      const { port } = servers.writable();
      redisCli(port, 'REPLICAOF', '127.0.0.1', '1');
      if (!attempt(port, 'SET', 'x', 'y').includes('READONLY')) throw new Error('it takes writes');
      await noticed();
    },
    mend: async (servers) => {
      redisCli(servers.writable().port, 'REPLICAOF', 'NO', 'ONE');
      await servers.settled();
    },
  },
  {
    what: 'killed, and started again empty',
    on: ALL,
    inflict: (servers) =>
      restartAll(servers, (dir) => {
        rmSync(join(dir, 'dump.rdb'), { force: true });
      }),
    mend: (servers) => servers.settled(),
  },
  {
    what: 'killed, and started again with old data',
    on: ALL,
    before: (servers) => {
      for (const { port } of servers.holders) redisCli(port, 'SAVE');
    },
    inflict: (servers) => restartAll(servers, () => undefined),
    mend: (servers) => servers.settled(),
  },
  {
    what: 'frozen, its connections half open',
    on: ['one server', 'Cluster'],
    inflict: async (servers, noticed) => {
      servers.writable().server.child.kill('SIGSTOP');
      await noticed();
    },
    mend: async (servers) => {
      for (const { server } of servers.holders) server.child.kill('SIGCONT');
      await servers.settled();
    },
  },
  {
    what: 'frozen, and replaced while its connections are half open',
    on: ['Sentinel'],
    inflict: async (servers) => {
      const frozen = servers.writable();
      frozen.server.child.kill('SIGSTOP');
      await servers.settled(frozen);
    },
    mend: () => undefined,
  },
  {
    what: 'handed over, so that the one before takes no writes (READONLY, MOVED)',
    on: ['Sentinel', 'Cluster'],
    inflict: async (servers) => {
      for (const { server } of servers.holders) server.child.kill('SIGCONT');
      const before = servers.writable();
      await until(
        'the other one follows',
        () =>
          servers.holders.some(({ port }) =>
            attempt(port, 'INFO', 'replication').includes('master_link_status:up'),
          ),
        { timeoutMs: 40_000 },
      );
      await servers.handOver();
      await servers.settled(before);
    },
    mend: () => undefined,
  },
];
