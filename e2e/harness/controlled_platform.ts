import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import {
  ask,
  reservePort,
  type GivenOptions,
  launch,
  launchRedis,
  launchZooKeeper,
  type LocalGateway,
  type LocalProcess,
  startTcpProxy,
  type TcpProxy,
} from '../../control-plane/src/testkit.js';
import { EBBGATE } from './cli.js';
import { Ensemble } from './ensemble.js';
import { breakable, type Breakable } from './faults.js';
import { gatewayPlace, startGateway, type GatewayPlace } from './gateway.js';
import { Platform, zookeeperServers, type PlatformGateway, type Ports } from './platform.js';
import { until } from './until.js';

/** The times that scenarios can wait for; everything else is the product's default. */
const SHORT = {
  EBBGATE_SETTLE: '4s',
  EBBGATE_SUSPECT: '20s',
  EBBGATE_GATEWAY_SILENT: '2s',
  EBBGATE_ZOOKEEPER_SESSION: '3s',
  EBBGATE_ALLOWED_NETWORKS: '127.0.0.0/8',
} as const;

export interface ControlledOptions {
  /** Default 2. */
  readonly gateways?: number;
  /** The controller's environment, over the short times. */
  readonly env?: Readonly<Record<string, string>>;
  readonly gateway?: GivenOptions;
  /** The controller's EBBGATE_TOKEN, without which its API answers nobody. */
  readonly token?: string;
  /** Gateways and controller reach Redis through doors of their own (`platform.doors`). */
  readonly doors?: boolean;
  /** Lines of its zoo.cfg over the usual ones. */
  readonly zooCfg?: readonly string[];
  /** Gateways read sets from a replica (`platform.replica`), which follows Redis through the door `replica`. */
  readonly replica?: boolean;
  /** Three ZooKeeper servers (`platform.ensemble`) in place of the one. */
  readonly ensemble?: boolean;
}

/** One gateway that a scenario may break. */
export interface ControlledGateway extends PlatformGateway, Breakable<LocalGateway> {
  readonly place: GatewayPlace;
}

interface Servers {
  readonly zookeeper: Breakable;
  readonly redis: Breakable;
  readonly replica: Replica | null;
  readonly controller: Breakable;
  readonly gateways: readonly ControlledGateway[];
}

/** A replica of Redis, by its port. */
export interface Replica extends Breakable {
  readonly port: number;
}

/** A platform of which the scenario controls every process: nothing supervises them, so what dies stays dead until the scenario starts it. */
export class ControlledPlatform extends Platform<ControlledGateway> {
  readonly zookeeper: Breakable;
  readonly redis: Breakable;
  readonly controller: Breakable;
  readonly #replica: Replica | null;
  readonly #added: AnotherController[] = [];

  private constructor(
    dir: string,
    ports: Ports,
    servers: Servers,
    /** To Redis, by who goes through: a gateway's id, or `controller`. Empty unless asked for. */
    readonly doors: ReadonlyMap<string, TcpProxy>,
    readonly asked: Ensemble | null,
    token?: string,
  ) {
    super(dir, ports, servers.gateways, token);
    this.zookeeper = servers.zookeeper;
    this.redis = servers.redis;
    this.#replica = servers.replica;
    this.controller = servers.controller;
  }

  /** Starts ZooKeeper and Redis, then the controller and the gateways. No instance. */
  static async start(options: ControlledOptions = {}): Promise<ControlledPlatform> {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-e2e-'));
    const ensemble = options.ensemble === true ? await Ensemble.start(dir) : null;
    const single = await reservePort();
    const ports = {
      ...{ zookeeper: ensemble?.ports[0] ?? single, redis: await reservePort(), api: await reservePort() },
      ...(ensemble ? { ensemble: ensemble.ports } : {}),
    };
    const names = Array.from({ length: options.gateways ?? 2 }, (_, n) => `gateway-${String(n + 1)}`);
    const doors = new Map<string, TcpProxy>();
    if (options.doors)
      for (const name of [...names, 'controller']) doors.set(name, await startTcpProxy(ports.redis));
    const redisOf = (name: string): number => doors.get(name)?.port ?? ports.redis;
    const zookeeper = breakable('ZooKeeper', () =>
      launchZooKeeper({ dir: join(dir, 'zookeeper'), port: single, config: options.zooCfg ?? [] }),
    );
    const redis = breakable('Redis', () => launchRedis({ dir: join(dir, 'redis'), port: ports.redis }));
    const replica = options.replica === true ? await replicaOf(dir, ports.redis, doors) : null;
    const fromReplica = replica ? { redis_replica: `redis://127.0.0.1:${String(replica.port)}` } : {};
    const env = { ...SHORT, ...(options.token ? { EBBGATE_TOKEN: options.token } : {}), ...options.env };
    const controllerPorts = { ...ports, redis: redisOf('controller') };
    const controller = breakable('the controller', () => launchController(dir, controllerPorts, env));
    const gateways: ControlledGateway[] = [];
    for (const id of names) {
      const place = await gatewayPlace(id, dir, redisOf(id));
      const gateway = breakable(id, () => startGateway(place, { ...fromReplica, ...options.gateway }));
      const [url, adminUrl] = [place.port, place.adminPort].map((port) => `http://127.0.0.1:${String(port)}`);
      gateways.push(Object.assign(gateway, { id, url: url ?? '', adminUrl: adminUrl ?? '', place }));
    }
    const platform = new ControlledPlatform(
      dir,
      ports,
      { zookeeper, redis, replica, controller, gateways },
      doors,
      ensemble,
      options.token,
    );
    try {
      await Promise.all([ensemble ?? zookeeper.start(), redis.start(), replica?.start()]);
      await Promise.all([controller, ...gateways].map((one) => one.start()));
      await until('all gateways are in the roster and on the newest sets', async () => {
        const fleet = await platform.fleet();
        return fleet.length === names.length && fleet.every((one) => one.in_roster && one.behind === 0);
      });
    } catch (error) {
      await platform[Symbol.asyncDispose]();
      throw error;
    }
    return platform;
  }

  /** The replica, if it was asked for. */
  get replica(): Replica {
    if (this.#replica === null) throw new Error('this platform has no replica of Redis');
    return this.#replica;
  }

  /** The three servers of ZooKeeper, if they were asked for. */
  get ensemble(): Ensemble {
    if (this.asked === null) throw new Error('this platform has one ZooKeeper');
    return this.asked;
  }

  /** Starts a controller beside the first one; its API listens on a port of its own, or on `api`. */
  async addController(
    id: string,
    env: Readonly<Record<string, string>> = {},
    api?: number,
  ): Promise<AnotherController> {
    const ports = { ...this.ports, api: api ?? (await reservePort()) };
    const own = { ...SHORT, ...env, EBBGATE_CONTROLLER_ID: id };
    const controller = breakable(id, () => launchController(this.dir, ports, own, id));
    await controller.start();
    const added = Object.assign(controller, { id, api: `http://127.0.0.1:${String(ports.api)}` });
    this.#added.push(added);
    return added;
  }

  protected override masters(): readonly number[] {
    return this.gateways.map((gateway) => gateway.process.pid);
  }

  protected override async end(): Promise<void> {
    await Promise.all(this.gateways.map((one) => one.kill().catch(() => undefined)));
    for (const one of [this.controller, ...this.#added]) await one.kill().catch(() => undefined);
    for (const one of [this.redis, this.#replica, this.zookeeper]) await one?.kill().catch(() => undefined);
    await this.asked?.[Symbol.asyncDispose]();
    for (const door of this.doors.values()) await door.close();
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The one of `controllers` that says of itself that it leads, and is ready. */
export async function leaderOf<C extends Pick<AnotherController, 'api'>>(
  controllers: readonly C[],
): Promise<C | undefined> {
  for (const one of controllers) {
    const answer = await request(`${one.api}/readyz?role=leader`, { headersTimeout: 1_000 }).catch(
      () => null,
    );
    await answer?.body.dump();
    if (answer?.statusCode === 200) return one;
  }
  return undefined;
}

/** One of several controllers. */
export interface AnotherController extends Breakable {
  readonly id: string;
  readonly api: string;
}

/** Adds the door through which it follows to `doors`. Nothing is started yet. */
async function replicaOf(dir: string, redisPort: number, doors: Map<string, TcpProxy>): Promise<Replica> {
  const [port, door] = [await reservePort(), await startTcpProxy(redisPort)];
  doors.set('replica', door);
  const extraArgs = [
    ...['--replicaof', `127.0.0.1 ${String(door.port)}`],
    ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'],
  ];
  const launchIt = (): Promise<LocalProcess> => launchRedis({ dir: join(dir, 'replica'), port, extraArgs });
  return Object.assign(breakable('the replica', launchIt), { port });
}

function launchController(
  dir: string,
  ports: Ports,
  env: Readonly<Record<string, string>>,
  name = 'controller',
): Promise<LocalProcess> {
  const [command, ...first] = EBBGATE;
  return launch({
    name: 'controller',
    command,
    args: [...first, 'controller'],
    env: {
      ...process.env,
      EBBGATE_ZOOKEEPER: zookeeperServers(ports),
      EBBGATE_REDIS: `redis://127.0.0.1:${String(ports.redis)}`,
      EBBGATE_API_LISTEN: `127.0.0.1:${String(ports.api)}`,
      ...env,
    },
    logFile: join(dir, `${name}.log`),
    readyTimeoutMs: 30_000,
    ready: () => ask(ports.api, 'GET /livez HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
  });
}
