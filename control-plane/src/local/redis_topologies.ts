import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { launch, type LocalProcess } from './process.js';
import { reservePort } from './port_reservation.js';
import { ask, launchRedis } from './redis.js';

/** One of several servers, by its port. */
export interface RigServer {
  readonly port: number;
  /** The process that runs now. */
  readonly server: LocalProcess;
}

/** One that has data: it may be killed and started again, with the arguments and in the directory of before. */
export interface RigRedis extends RigServer {
  /** Kills it; `prepare` runs while it is down, with its directory. */
  restart(prepare?: (dir: string) => void): Promise<void>;
}

/** One server, and nothing else. */
export interface SingleRig extends AsyncDisposable {
  readonly redis: RigRedis;
  readonly url: string;
}

/** A Redis with one replica, and three sentinels of which two must agree. */
export interface SentinelRig extends AsyncDisposable {
  readonly master: RigRedis;
  readonly replica: RigRedis;
  readonly sentinels: readonly RigServer[];
  readonly url: string;
}

/** Asks a server by redis-cli, for tests that arrange things: its answer, or throws what it said. */
export function redisCli(port: number, ...args: readonly string[]): string {
  return execFileSync('redis-cli', ['-e', '-p', String(port), ...args], { encoding: 'utf8' }).trim();
}

/** `conf` are the lines of its file at first: sentinels have it write there which role it has, for the next start. */
async function startServer(
  dir: string,
  extraArgs: readonly string[],
  conf: readonly string[] = [],
): Promise<RigRedis> {
  const port = await reservePort();
  const own = join(dir, String(port));
  const file = join(own, 'redis.conf');
  mkdirSync(own, { recursive: true });
  writeFileSync(file, [...conf, ''].join('\n'));
  const launchIt = (): Promise<LocalProcess> => launchRedis({ dir: own, port, extraArgs, conf: file });
  let server = await launchIt();
  return {
    port,
    get server() {
      return server;
    },
    restart: async (prepare) => {
      server.child.kill('SIGKILL');
      await server.exited;
      prepare?.(own);
      server = await launchIt();
    },
  };
}

/** Starts one server; `more` are arguments of it. */
export async function startSingleRig(dir: string, more: readonly string[] = []): Promise<SingleRig> {
  const redis = await startServer(dir, more);
  return {
    ...{ redis, url: `redis://127.0.0.1:${String(redis.port)}` },
    [Symbol.asyncDispose]: () => redis.server.stop(),
  };
}

/** Starts all of it; a master is called down after 500 ms. `more` are arguments of both Redis servers. */
export async function startSentinelRig(dir: string, more: readonly string[] = []): Promise<SentinelRig> {
  const fast = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...more];
  const master = await startServer(dir, fast);
  const replica = await startServer(dir, fast, [`replicaof 127.0.0.1 ${String(master.port)}`]);
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(dir, master.port)));
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${String(port)}`).join(',');
  return {
    ...{ master, replica, sentinels, url: `redis+sentinel://${hosts}/ebbgate` },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([master, replica, ...sentinels].map(({ server }) => server.stop()));
    },
  };
}

async function startSentinel(dir: string, masterPort: number): Promise<RigServer> {
  const port = await reservePort();
  const own = join(dir, `sentinel-${String(port)}`);
  mkdirSync(own, { recursive: true });
  const conf = join(own, 'sentinel.conf');
  writeFileSync(
    conf,
    [
      ...[`port ${String(port)}`, 'bind 127.0.0.1', `dir ${own}`, 'daemonize no'],
      `sentinel monitor ebbgate 127.0.0.1 ${String(masterPort)} 2`,
      ...['down-after-milliseconds ebbgate 500', 'failover-timeout ebbgate 3000'].map(
        (line) => `sentinel ${line}`,
      ),
      '',
    ].join('\n'),
  );
  const server = await launch({
    name: `sentinel on port ${String(port)}`,
    command: 'redis-server',
    args: [conf, '--sentinel'],
    logFile: join(own, 'sentinel.log'),
    ready: () => ask(port, 'PING\r\n', '+PONG'),
  });
  return { port, server };
}

/** Starts a Redis that speaks nothing but TLS, and asks for a certificate that `ca` has signed. */
export async function startTlsRedis(
  dir: string,
  files: { readonly cert: string; readonly key: string; readonly ca: string },
): Promise<RigServer & AsyncDisposable> {
  const port = await reservePort();
  const tls = ['--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca];
  const server = await launch({
    name: `redis-server with TLS on port ${String(port)}`,
    command: 'redis-server',
    args: [
      ...['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''],
      ...tls,
    ],
    logFile: join(dir, `tls-${String(port)}.log`),
    ready: () => isOpen(port),
  });
  return { port, server, [Symbol.asyncDispose]: () => server.stop() };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}

/** Three masters of a cluster, all slots at the first. */
export interface ClusterRig extends AsyncDisposable {
  readonly nodes: readonly RigRedis[];
  readonly url: string;
}

/** Its port for other nodes is reserved too: by itself it would be one that may be taken. */
async function startNode(dir: string, more: readonly string[]): Promise<RigRedis & { readonly bus: number }> {
  const bus = await reservePort();
  const cluster = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '1000',
    '--cluster-port',
    String(bus),
  ];
  return Object.assign(await startServer(dir, [...cluster, ...more]), { bus });
}

/** Starts the cluster; resolves once every node says that it is well. `more` are arguments of all nodes. */
export async function startClusterRig(dir: string, more: readonly string[] = []): Promise<ClusterRig> {
  const nodes = await Promise.all([1, 2, 3].map(() => startNode(dir, more)));
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error('no node');
  redisCli(first.port, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  for (const { port } of others)
    redisCli(port, 'CLUSTER', 'MEET', '127.0.0.1', String(first.port), String(first.bus));
  for (const { port } of nodes)
    while (!redisCli(port, 'CLUSTER', 'INFO').includes('cluster_state:ok'))
      await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    nodes,
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${String(port)}`).join(',')}`,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map(({ server }) => server.stop()));
    },
  };
}
