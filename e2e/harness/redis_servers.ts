import {
  redisCli,
  startClusterRig,
  startSentinelRig,
  startSingleRig,
  type RigRedis,
} from '../../control-plane/src/testkit.js';
import { until } from './until.js';

export type Topology = 'one server' | 'Sentinel' | 'Cluster';

/** The servers of one topology, for faults that are the same for all of them. */
export interface RedisServers extends AsyncDisposable {
  readonly topology: Topology;
  readonly url: string;
  /** Those that have the keys. */
  readonly holders: readonly RigRedis[];
  /** The one that may be written, by what those say who know it. */
  writable(): RigRedis;
  /** Waits until all agree on who may be written, and that one takes writes; with `other`, that it is another one. */
  settled(other?: RigRedis): Promise<void>;
  /** Has another server take over, while all of them live. */
  handOver(): Promise<void>;
}

/** For what is arranged, and may go wrong meanwhile: the answer, or what was said. */
export function attempt(port: number, ...args: readonly string[]): string {
  try {
    return redisCli(port, ...args);
  } catch (error) {
    return String(error);
  }
}

/** DEBUG is there for tests alone. */
const MORE = ['--enable-debug-command', 'local', '--repl-diskless-sync-delay', '0'];

export async function startRedisServers(topology: Topology, dir: string): Promise<RedisServers> {
  if (topology === 'one server') return oneServer(dir);
  return topology === 'Sentinel' ? sentinel(dir) : cluster(dir);
}

/** Writes a key that means nothing. */
function takesWrites({ port }: RigRedis): boolean {
  return attempt(port, 'SET', '{ebb}:settled', '1', 'PX', '1000') === 'OK';
}

function made(
  topology: Topology,
  rig: AsyncDisposable & { readonly url: string },
  holders: readonly RigRedis[],
  views: () => readonly string[],
  handOver: () => Promise<void>,
): RedisServers {
  const find = (port: string | undefined): RigRedis | undefined =>
    holders.find((one) => String(one.port) === port);
  const writable = (): RigRedis => {
    const found = find(views()[0]);
    if (found === undefined) throw new Error(`nobody knows who may be written: ${views().join()}`);
    return found;
  };
  return {
    ...{ topology, url: rig.url, holders, writable, handOver },
    settled: async (other) => {
      const isSettled = (): boolean => {
        const [first, ...more] = views();
        const found = find(first);
        return (
          found !== undefined && found !== other && more.every((each) => each === first) && takesWrites(found)
        );
      };
      await until(`the servers (${topology}) agree`, isSettled, { timeoutMs: 40_000, everyMs: 50 });
    },
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  };
}

async function oneServer(dir: string): Promise<RedisServers> {
  const rig = await startSingleRig(dir, MORE);
  const port = String(rig.redis.port);
  return made(
    'one server',
    rig,
    [rig.redis],
    () => [port],
    () => Promise.reject(new Error('there is no other')),
  );
}

async function sentinel(dir: string): Promise<RedisServers> {
  const rig = await startSentinelRig(dir, MORE);
  const views = (): readonly string[] =>
    rig.sentinels.map(
      ({ port }) => attempt(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'ebbgate').split('\n')[1] ?? '',
    );
  const handOver = async (): Promise<void> => {
    await until('the sentinels hand over', () =>
      rig.sentinels.some(({ port }) => attempt(port, 'SENTINEL', 'FAILOVER', 'ebbgate') === 'OK'),
    );
  };
  return made('Sentinel', rig, [rig.master, rig.replica], views, handOver);
}

/** The first node has the slot, and the second follows it; the third is asked only. */
async function cluster(dir: string): Promise<RedisServers> {
  const rig = await startClusterRig(dir, MORE);
  const [first, second, third] = rig.nodes;
  if (!first || !second || !third) throw new Error('no nodes');
  const owner = (port: number): string =>
    / 127\.0\.0\.1:(\d+)@\S+ \S*master\S* .* 0-16383$/m.exec(attempt(port, 'CLUSTER', 'NODES'))?.[1] ?? '';
  // Once: each time begins the replication anew.
  redisCli(second.port, 'CLUSTER', 'REPLICATE', redisCli(first.port, 'CLUSTER', 'MYID'));
  await until('the second follows the first', () =>
    attempt(second.port, 'INFO', 'replication').includes('master_link_status:up'),
  );
  // Only when it is asked to: else a frozen owner would lose the slot, and the fault would be another one.
  for (const { port } of [first, second])
    redisCli(port, 'CONFIG', 'SET', 'cluster-replica-no-failover', 'yes');
  const views = (): readonly string[] => [third, second, first].map(({ port }) => owner(port));
  const handOver = async (): Promise<void> => {
    const other = owner(third.port) === String(first.port) ? second : first;
    await until('it asks for the slot', () => attempt(other.port, 'CLUSTER', 'FAILOVER') === 'OK');
  };
  return made('Cluster', rig, [first, second], views, handOver);
}
