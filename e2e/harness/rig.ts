import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { request } from 'undici';
import {
  ask,
  reservePort,
  type GatewayResource,
  type GivenOptions,
  type InstanceResource,
  launch,
  launchRedis,
  launchZooKeeper,
  type LocalGateway,
  type LocalProcess,
  type MutationResource,
  type OperationResource,
  type ServiceResource,
  type ServiceSet,
  startTcpProxy,
  type TcpProxy,
} from '../../control-plane/src/testkit.js';
import { breakable, type Breakable } from './faults.js';
import { gatewayPlace, startGateway, type GatewayPlace } from './gateway.js';
import { enlist, type Enlisted } from './enlisted.js';
import { startTraffic, type Traffic } from './traffic.js';
import { until, untilValue } from './until.js';

/*
 * A whole Ebbgate of which a scenario controls every process: nothing supervises them, so what dies stays
 * dead until the scenario says otherwise. Instances live in the test's own process and write down what they get.
 */

const ROOT = join(import.meta.dirname, '../..');

/** The times that scenarios can wait for; everything else is the product's default. */
const SHORT = {
  EBBGATE_SETTLE: '4s',
  EBBGATE_SUSPECT: '20s',
  EBBGATE_GATEWAY_SILENT: '2s',
  EBBGATE_ZOOKEEPER_SESSION: '3s',
  EBBGATE_ALLOWED_NETWORKS: '127.0.0.0/8',
} as const;

export interface RigOptions {
  /** Default 2. */
  readonly gateways?: number;
  /** The controller's environment, over the short times. */
  readonly env?: Readonly<Record<string, string>>;
  readonly gateway?: GivenOptions;
  /** Gateways and controller reach Redis through doors of their own (`rig.doors`). */
  readonly doors?: boolean;
}

/** One gateway of a rig. */
export interface RigGateway extends Breakable<LocalGateway> {
  readonly id: string;
  readonly url: string;
  readonly place: GatewayPlace;
}

/** What the API answered. */
export interface RigAnswer<T> {
  readonly status: number;
  readonly body: T;
}

export class Rig implements AsyncDisposable {
  readonly #enlisted: Enlisted[] = [];
  readonly #admin: Redis;

  private constructor(
    readonly dir: string,
    readonly ports: { readonly zookeeper: number; readonly redis: number; readonly api: number },
    readonly zookeeper: Breakable,
    readonly redis: Breakable,
    readonly controller: Breakable,
    readonly gateways: readonly RigGateway[],
    /** To Redis, by who goes through: a gateway's id, or `controller`. Empty unless asked for. */
    readonly doors: ReadonlyMap<string, TcpProxy>,
  ) {
    this.#admin = new Redis<'legacy'>({
      port: ports.redis,
      host: '127.0.0.1',
      lazyConnect: true,
      maxRetriesPerRequest: 1,
      retryStrategy: () => 50,
    });
    this.#admin.on('error', () => undefined); // a server that is away is part of the scenarios
  }

  /** Starts ZooKeeper and Redis, then the controller and the gateways. No instance. */
  static async start(options: RigOptions = {}): Promise<Rig> {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-rig-'));
    const ports = { zookeeper: await reservePort(), redis: await reservePort(), api: await reservePort() };
    const names = Array.from({ length: options.gateways ?? 2 }, (_, index) => `gw-${String(index + 1)}`);
    const doors = new Map<string, TcpProxy>();
    if (options.doors)
      for (const name of [...names, 'controller']) doors.set(name, await startTcpProxy(ports.redis));
    const redisOf = (name: string): number => doors.get(name)?.port ?? ports.redis;
    const zookeeper = breakable('ZooKeeper', () =>
      launchZooKeeper({ dir: join(dir, 'zookeeper'), port: ports.zookeeper }),
    );
    const redis = breakable('Redis', () => launchRedis({ dir: join(dir, 'redis'), port: ports.redis }));
    const controller = breakable('the controller', () =>
      launchController(dir, { ...ports, redis: redisOf('controller') }, { ...SHORT, ...options.env }),
    );
    const gateways: RigGateway[] = [];
    for (const name of names) {
      const place = await gatewayPlace(name, dir, redisOf(name));
      const gateway = breakable(name, () => startGateway(place, options.gateway));
      gateways.push(Object.assign(gateway, { id: name, url: `http://127.0.0.1:${place.port}`, place }));
    }
    const rig = new Rig(dir, ports, zookeeper, redis, controller, gateways, doors);
    try {
      await Promise.all([zookeeper.start(), redis.start()]);
      await Promise.all([controller, ...gateways].map((one) => one.start()));
      await until('all gateways are in the roster and on the newest sets', async () => {
        const fleet = await rig.fleet();
        return fleet.length === names.length && fleet.every((one) => one.in_roster && one.behind === 0);
      });
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  /** Commands straight into Redis. */
  get data(): Redis {
    return this.#admin;
  }

  /** Starts an instance in this process and registers it; resolves once every gateway obeys, unless `wait` is false. */
  async enlist(
    options: {
      readonly service?: string;
      readonly port?: number;
      readonly version?: string;
      readonly status?: number;
      readonly behave?: Parameters<typeof enlist>[0]['behave'];
      readonly wait?: boolean;
    } = {},
  ): Promise<Enlisted> {
    const service = options.service ?? 'shop';
    const one = await enlist({ ...options, service, zookeeper: this.ports.zookeeper });
    this.#enlisted.push(one);
    if (options.wait !== false)
      await until(`${one.id} is in use`, async () => {
        const { effective } = await this.instance(one.id, service);
        return effective.state === 'up' && (await this.service(service)).convergence?.converged;
      });
    return one;
  }

  /** Gives the service the route `path` and waits until every gateway serves it. */
  async route(service = 'shop', path = '/'): Promise<void> {
    const routes = [{ host: '*', path }];
    const patched = await this.call('PATCH', `/v1/services/${service}`, { routes }, { 'if-match': '*' });
    if (patched.status !== 200) throw new Error(`route: ${JSON.stringify(patched.body)}`);
    for (const { url } of this.gateways)
      await until(`${url}${path} is served`, async () => (await statusOf(url + path)) === 200);
  }

  async call<T = unknown>(
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RigAnswer<T>> {
    const answer = await request(`http://127.0.0.1:${this.ports.api}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: (text === '' ? null : JSON.parse(text)) as T };
  }

  /** A page of the controller that is no JSON. */
  async text(
    path: string,
  ): Promise<{ readonly status: number; readonly text: string; readonly stale: string | null }> {
    const answer = await request(`http://127.0.0.1:${this.ports.api}${path}`);
    const header = answer.headers['x-ebbgate-stale'];
    const stale = typeof header === 'string' ? header : null;
    return { status: answer.statusCode, text: await answer.body.text(), stale };
  }

  async #get<T>(path: string): Promise<T> {
    const { status, body } = await this.call<T>('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${String(status)} ${JSON.stringify(body)}`);
    return body;
  }
  service(name = 'shop'): Promise<ServiceResource> {
    return this.#get(`/v1/services/${name}`);
  }
  instance(id: string, service = 'shop'): Promise<InstanceResource> {
    return this.#get(`/v1/services/${service}/instances/${encodeURIComponent(id)}`);
  }
  operation(id: string): Promise<OperationResource> {
    return this.#get(`/v1/operations/${id}`);
  }
  async fleet(): Promise<readonly GatewayResource[]> {
    return (await this.#get<{ readonly items: readonly GatewayResource[] }>('/v1/gateways')).items;
  }
  async ready(): Promise<void> {
    await until('the controller is ready', async () => (await this.call('GET', '/readyz')).status === 200, {
      timeoutMs: 30_000,
    });
  }
  async converged(service = 'shop'): Promise<void> {
    await until(
      `every gateway obeys the set of ${service}`,
      async () => (await this.service(service)).convergence?.converged,
      { timeoutMs: 30_000 },
    );
  }

  /** Asks for a drain; resolves with the operation's id. */
  async drain(
    id: string,
    more: {
      readonly service?: string;
      readonly timeout?: string;
      readonly on_timeout?: string;
      readonly key?: string;
    } = {},
  ): Promise<string> {
    const { service = 'shop', timeout = '60s', key, ...rest } = more;
    const answer = await this.call<MutationResource>(
      'POST',
      `/v1/services/${service}/instances/${encodeURIComponent(id)}/drain`,
      { timeout, ...rest },
      key === undefined ? {} : { 'idempotency-key': key },
    );
    const operation = answer.body.operation?.id;
    if (answer.status !== 202 || operation === undefined)
      throw new Error(`drain of ${id}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    return operation;
  }

  /** Gives an instance back and waits until every gateway uses it again. */
  async undrain(id: string, service = 'shop'): Promise<void> {
    const path = `/v1/services/${service}/instances/${encodeURIComponent(id)}/undrain`;
    const answer = await this.call('POST', path, {});
    if (answer.status !== 200) throw new Error(`undrain of ${id}: ${JSON.stringify(answer.body)}`);
    await until(`${id} is up again`, async () => (await this.instance(id, service)).effective.state === 'up');
    await this.converged(service);
  }

  /** Waits for an operation's end. */
  ended(id: string, timeoutMs = 30_000): Promise<OperationResource> {
    return untilValue(
      `the end of ${id}`,
      () => this.operation(id),
      ({ state }) => state === 'done',
      { timeoutMs },
    );
  }

  /** A stream of requests through each gateway that is given; all of them by default. */
  traffic(
    options: { readonly path?: string; readonly rate?: number; readonly resends?: boolean } = {},
    gateways = this.gateways,
  ): RigTraffic {
    const streams = gateways.map(({ url }) => startTraffic({ url, rate: 60, ...options }));
    return {
      streams,
      total: () => streams.reduce((sum, one) => sum + one.total(), 0),
      failed: () => streams.flatMap(({ failed }) => failed),
      stop: async () => {
        await Promise.all(streams.map((one) => one.stop()));
        return streams.flatMap(({ failed }) => failed);
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.all(streams.map((one) => one.stop()));
      },
    };
  }

  /** The published set of a service as it is in Redis. */
  async published(service = 'shop'): Promise<ServiceSet> {
    const payload = await this.#admin.hget(`{ebb}:set:${service}`, 'payload');
    if (payload === null) throw new Error(`Redis has no set of ${service}`);
    return JSON.parse(payload) as ServiceSet;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#admin.disconnect();
    await Promise.all(this.#enlisted.map((one) => one.die()));
    await Promise.all(this.gateways.map((one) => one.kill().catch(() => undefined)));
    await this.controller.kill().catch(() => undefined);
    for (const one of [this.redis, this.zookeeper]) await one.kill().catch(() => undefined);
    for (const door of this.doors.values()) await door.close();
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The streams of a rig as one. */
export interface RigTraffic extends AsyncDisposable {
  readonly streams: readonly Traffic[];
  total(): number;
  failed(): readonly Traffic['failed'][number][];
  /** Ends them; resolves with what failed. */
  stop(): Promise<readonly Traffic['failed'][number][]>;
}

function launchController(
  dir: string,
  ports: Rig['ports'],
  env: Readonly<Record<string, string>>,
): Promise<LocalProcess> {
  return launch({
    name: 'controller',
    command: process.execPath,
    args: [join(ROOT, 'scripts/ebbgate.mjs'), 'controller'],
    env: {
      ...process.env,
      EBBGATE_ZOOKEEPER: `127.0.0.1:${ports.zookeeper}`,
      EBBGATE_REDIS: `redis://127.0.0.1:${ports.redis}`,
      EBBGATE_API_LISTEN: `127.0.0.1:${ports.api}`,
      ...env,
    },
    logFile: join(dir, 'controller.log'),
    readyTimeoutMs: 30_000,
    ready: () => ask(ports.api, 'GET /livez HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
  });
}

/** The status of one GET; 0 without an answer. */
export async function statusOf(url: string): Promise<number> {
  try {
    const answer = await request(url);
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return 0;
  }
}
