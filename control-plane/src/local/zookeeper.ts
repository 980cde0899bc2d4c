import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, type LocalProcess } from './process.js';
import { ask } from './redis.js';

/** The server's jar names all that it needs but what Netty needs for TLS. */
const CLASS_PATH = ['zookeeper.jar', 'slf4j-simple.jar', 'netty-codec.jar', 'netty-resolver.jar']
  .map((jar) => `/usr/share/java/${jar}`)
  .join(':');

export interface ZooKeeperOptions {
  readonly dir: string;
  readonly port: number;
  /** Milliseconds; expiry is noticed within about one. Default 500. */
  readonly tickMs?: number;
  /** More lines of zoo.cfg. */
  readonly config?: readonly string[];
  /** More arguments of the JVM. */
  readonly jvm?: readonly string[];
  /** Absent: this process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A private single ZooKeeper on 127.0.0.1 that keeps its data in `dir`. Sessions of 1 … 60 s are granted. */
export async function launchZooKeeper(options: ZooKeeperOptions): Promise<LocalProcess> {
  const data = join(options.dir, 'data');
  mkdirSync(data, { recursive: true });
  const config = join(options.dir, 'zoo.cfg');
  writeFileSync(
    config,
    [
      `dataDir=${data}`,
      'clientPortAddress=127.0.0.1',
      `clientPort=${String(options.port)}`,
      `tickTime=${String(options.tickMs ?? 500)}`,
      'minSessionTimeout=1000',
      'maxSessionTimeout=60000',
      'maxClientCnxns=0',
      'admin.enableServer=false',
      '4lw.commands.whitelist=srvr,ruok',
      ...(options.config ?? []),
      '',
    ].join('\n'),
  );
  return launch({
    name: `ZooKeeper on port ${String(options.port)}`,
    command: 'java',
    ...(options.env ? { env: options.env } : {}),
    args: [
      ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djute.maxbuffer=4194304'],
      ...(options.jvm ?? []),
      ...['-Dzookeeper.admin.enableServer=false', '-cp', CLASS_PATH],
      ...['org.apache.zookeeper.server.quorum.QuorumPeerMain', config],
    ],
    logFile: join(options.dir, 'zookeeper.log'),
    readyTimeoutMs: 30_000,
    ready: () => ask(options.port, 'srvr', 'Mode:'),
  });
}
