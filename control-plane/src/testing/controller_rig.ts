import { type ContractVersion, NEWEST_CONTRACT } from '../model/contract.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest';
import { systemClock } from '../clock.js';
import { Controller } from '../controller/controller.js';
import { createHooks } from '../hooks/hooks.js';
import { createPrometheus } from '../hooks/prometheus.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import type { ControlPlane } from '../model/control_plane.js';
import type { Clock, IntentStore, Office, Publisher } from '../model/ports.js';
import { createCopyFile } from '../disk/copy_file.js';
import { encodeCopy, encodeHead, epochIn, joinCopy } from '../plan/copy_document.js';
import { createRedisCopy } from '../redis/copy.js';
import { createRecordCodec } from '../zookeeper/record_codec.js';
import { RedisLink } from '../redis/client.js';
import { createFeedback } from '../redis/feedback.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts, type PublishingScripts } from '../redis/scripts.js';
import { createTrafficReader } from '../redis/traffic.js';
import { registryRoots } from '../registry/formats.js';
import { createAuditStore } from '../zookeeper/audit.js';
import { connect, type ZooKeeperConnection } from '../zookeeper/connection.js';
import { readZooKeeperTime } from '../zookeeper/clock.js';
import { createConsumers } from '../zookeeper/consumers.js';
import { createPath } from '../zookeeper/create_path.js';
import { createOffice } from '../zookeeper/epoch.js';
import { createFreezeStore } from '../zookeeper/freezes.js';
import { createHistoryStore } from '../zookeeper/histories.js';
import { createIntentStore } from '../zookeeper/intents.js';
import { ZooKeeperLink } from '../zookeeper/link.js';
import { createRegistrySource } from '../zookeeper/registry.js';
import { createReleaseStore } from '../zookeeper/releases.js';
import { createRosterStore } from '../zookeeper/roster.js';
import { createApiConsumerStore } from '../zookeeper/api_consumers.js';
import { createTokenStore } from '../zookeeper/tokens.js';
import { createZooKeeperProbe } from '../zookeeper/write_probe.js';
import { type MemoryElection, MemoryElections } from './memory/elections.js';
import { createRecordingLog } from './log.js';
import { localRedis } from './redis_address.js';
import { startTcpProxy, type TcpProxy } from './tcp_proxy.js';

/*
 * The controller with its real stores on a real ZooKeeper and a real Redis, for the tests of its rooms. Each controller reaches
 * both through doors of its own, so that either can be taken away from one of them alone.
 */

const clock = systemClock;
/** What all controllers of the file log. */
export const log = createRecordingLog();
/** How long removals wait after a gap, in milliseconds. */
export const SETTLE_MS = 2_500;

/** The servers of a test file, and what a test writes to them as a person with redis-cli and zkCli. */
class Servers {
  readonly #dir = mkdtempSync(join(tmpdir(), 'ebbgate-controller-'));
  #roots = 0;
  /** Closed after the test, the newest first. */
  readonly opened: AsyncDisposable[] = [];
  ports = { redis: 0, zookeeper: 0 };
  scripts!: PublishingScripts;
  redis!: LocalProcess;
  zookeeper!: LocalProcess;
  cli!: RedisLink;
  writer!: ZooKeeperConnection;
  /** Where the controllers of this test keep the truth, and where its services register. */
  root = '';
  elections = new MemoryElections();
  services = '';

  async start(): Promise<void> {
    this.ports = { redis: await reservePort(), zookeeper: await reservePort() };
    this.scripts = await loadScripts(fileURLToPath(new URL('../../../lua/redis', import.meta.url)));
    [this.redis, this.zookeeper] = await Promise.all([this.#launchRedis(), this.#launchZooKeeper()]);
    const address = localRedis(this.ports.redis);
    this.cli = new RedisLink({ address, name: 'cli', log, clock, commandTimeoutMs: 10_000 });
    await this.cli.start();
  }

  async close(): Promise<void> {
    await this.cli.close();
    await Promise.all([this.redis.stop(), this.zookeeper.stop()]);
    rmSync(this.#dir, { recursive: true });
  }

  async begin(): Promise<void> {
    this.anotherInstallation();
    await until(() => expect(this.cli.state().state).toBe('connected'));
    await command('FLUSHALL');
    this.writer = await session(30_000);
  }

  async end(): Promise<void> {
    this.zookeeper.kill('SIGCONT');
    for (const one of this.opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  }

  /** What starts from now on finds nothing in ZooKeeper. */
  anotherInstallation(): void {
    this.#roots += 1;
    this.root = `/ebbgate-${String(this.#roots)}`;
    this.services = `/services-${String(this.#roots)}`;
    this.elections = new MemoryElections();
  }

  /** Kills Redis; it comes back with what it had saved. */
  async restartRedis(): Promise<void> {
    this.redis.kill('SIGKILL');
    await this.redis.exited;
    this.redis = await this.#launchRedis();
    await until(() => expect(this.cli.state().state).toBe('connected'));
  }

  #launchRedis(): Promise<LocalProcess> {
    return launchRedis({ dir: join(this.#dir, 'redis'), port: this.ports.redis });
  }
  #launchZooKeeper(): Promise<LocalProcess> {
    return launchZooKeeper({ dir: join(this.#dir, 'zookeeper'), port: this.ports.zookeeper });
  }
}

export const servers = new Servers();

/** Starts the servers for all tests of a file, and gives each test an empty Redis and an empty ZooKeeper. */
export function useServers(): void {
  beforeAll(() => servers.start());
  afterAll(() => servers.close());
  beforeEach(() => servers.begin());
  afterEach(() => servers.end());
}

/** Waits for a condition. */
export const until = (condition: () => unknown, timeout = 20_000): Promise<unknown> =>
  vi.waitFor(condition, { timeout, interval: 10 });

/** Resolves after so many more passes of a controller: for what must not happen there is no other condition. */
export async function passes({ controller }: Running, count: number): Promise<void> {
  const { signal } = new AbortController();
  for (let pass = 0; pass < count; pass += 1) await controller.changed(signal);
}

/** A clock whose spans can be skipped: `monotonic` jumps ahead, timers run in real time. */
export function createSkippingClock(): Clock & { skip(ms: number): void } {
  let skipped = 0;
  return {
    ...clock,
    monotonic: () => clock.monotonic() + skipped,
    skip: (ms) => {
      skipped += ms;
    },
  };
}

/** Sends one command to Redis. */
export async function command(...words: readonly string[]): Promise<unknown> {
  const [name = '', ...rest] = words;
  const answer = await servers.cli.run(name, ...rest);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

/** A ZooKeeper session of its own, over the server's own port. */
export async function session(timeoutMs: number): Promise<ZooKeeperConnection> {
  const server = { host: '127.0.0.1', port: servers.ports.zookeeper };
  const made = await connect({ server, sessionTimeoutMs: timeoutMs, connectTimeoutMs: 10_000, clock });
  if (!made.ok) throw new Error(made.error);
  servers.opened.push({ [Symbol.asyncDispose]: () => made.value.close() });
  return made.value;
}

/** Registers `id` of a service by `connection`'s session; the path of its node. */
export async function register(
  id: string,
  connection = servers.writer,
  service = 'shop',
  more: object = {},
): Promise<string> {
  const path = `${servers.services}/${service}/providers/${id}`;
  await createPath(connection, `${servers.services}/${service}/providers`);
  const data = JSON.stringify({
    id,
    host: '10.0.0.1',
    port: 8_000 + id.charCodeAt(0),
    version: 'v1',
    ...more,
  });
  const made = await connection.create(path, Buffer.from(data), { ephemeral: true });
  if (!made.ok) throw new Error(made.error.message);
  return path;
}

/** A controller, its link to ZooKeeper and its doors. */
export interface Running {
  readonly controller: ControlPlane;
  readonly election: MemoryElection;
  readonly link: ZooKeeperLink;
  readonly doors: { readonly redis: TcpProxy; readonly zookeeper: TcpProxy };
  close(): Promise<void>;
}

/** What is different from a usual controller. */
export interface Changes {
  /** Replaces the publisher or the intent store, in front of the real one. */
  readonly publisher?: (real: Publisher) => Publisher;
  readonly intents?: (real: IntentStore) => IntentStore;
  readonly office?: (real: Office) => Office;
  /** Another election than that of all controllers. */
  readonly election?: MemoryElection;
  readonly clock?: Clock;
  /** Its door to Redis is shut when it starts. */
  readonly withoutRedis?: boolean;
  readonly suspectMs?: number;
  /** Where it keeps a copy on the disk. */
  readonly stateDir?: string;
  /** The highest contract that it may write. Default: the newest. */
  readonly contractMost?: ContractVersion;
  readonly tombstoneMs?: number;
  readonly forgetMs?: number;
}

/** Starts a controller. */
export async function start(changes: Changes = {}): Promise<Running> {
  const doors = {
    redis: await startTcpProxy(servers.ports.redis),
    zookeeper: await startTcpProxy(servers.ports.zookeeper),
  };
  if (changes.withoutRedis === true) doors.redis.setMode('cut');
  const link = new ZooKeeperLink({
    connect: `127.0.0.1:${String(doors.zookeeper.port)}`,
    sessionTimeoutMs: 3_000,
    log,
    clock,
    random: Math.random,
  });
  const url = `redis://127.0.0.1:${String(doors.redis.port)}`;
  const publisher = createPublisher({ url, log, clock, scripts: servers.scripts });
  const id = `controller-${String(doors.redis.port)}`;
  const office = createOffice(link, { root: servers.root, owner: id });
  const audit = createAuditStore(link, { root: servers.root });
  const truth = { root: servers.root, audit };
  const intents = createIntentStore(link, truth);
  let ids = 0;
  const election =
    changes.election ?? servers.elections.election({ id, address: null, version: '0.1.0', started_at: '' });
  const controller = new Controller({
    registry: createRegistrySource(link, {
      roots: registryRoots([{ path: servers.services, format: 'json' }], ['10.0.0.0/8']),
    }),
    office: changes.office?.(office) ?? office,
    election,
    intents: changes.intents?.(intents) ?? intents,
    histories: createHistoryStore(link, truth),
    roster: createRosterStore(link, truth),
    freezes: createFreezeStore(link, truth),
    audit,
    releases: createReleaseStore(link, truth),
    tokens: createTokenStore(link, truth),
    apiConsumers: createApiConsumerStore(link, truth),
    traffic: createTrafficReader({ url, log, clock }),
    hooks: createHooks({ prefixes: [], commands: '', path: '', clock }),
    prometheus: createPrometheus('', clock),
    consumers: createConsumers(link, { root: servers.services, node: { id: 'c', host: 'here' } }),
    publisher: changes.publisher?.(publisher) ?? publisher,
    feedback: createFeedback({ url, log, clock, pollMs: 200 }),
    truthLink: () => link.state(),
    truthView: { heardAt: () => link.heardAt, caughtUp: () => link.caughtUp() },
    probeTruth: createZooKeeperProbe(link, { root: servers.root }),
    accessProblems: () => [],
    storeClocks: { zookeeper: () => readZooKeeperTime(link, servers.root), redis: () => publisher.time() },
    copyPlaces: [
      createRedisCopy({ url, log, clock, script: servers.scripts.copy, headOf: encodeHead, join: joinCopy }),
      ...(changes.stateDir === undefined ? [] : [createCopyFile(changes.stateDir, encodeCopy, epochIn)]),
    ],
    recordCodec: createRecordCodec(),
    clock: changes.clock ?? clock,
    log,
    newId: () => `op-${String(doors.redis.port)}-${String(++ids)}`,
    newReleaseId: () => `rel-${String(doors.redis.port)}-${String(++ids)}`,
    settings: {
      settleMs: SETTLE_MS,
      suspectMs: changes.suspectMs ?? 60_000,
      gatewaySilentMs: 1_500,
      drainTimeoutMs: 600_000,
      clockBoundMs: 30_000,
      contractMost: changes.contractMost ?? NEWEST_CONTRACT,
      forgetMs: changes.forgetMs ?? 2_592_000_000,
      tombstoneMs: changes.tombstoneMs ?? 600_000,
    },
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      for (const part of [controller, link]) await part.close();
      await Promise.all([doors.redis.close(), doors.zookeeper.close()]);
    })());
  servers.opened.push({ [Symbol.asyncDispose]: close });
  await controller.start();
  await link.start();
  return { controller: controller.plane, election, link, doors, close };
}
