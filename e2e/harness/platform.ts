import { Redis } from 'ioredis';
import { request } from 'undici';
import {
  type GatewayResource,
  type InstanceResource,
  type MutationResource,
  type OperationResource,
  reservePort,
  type ServiceResource,
  type ServiceSet,
} from '../../control-plane/src/testkit.js';
import { runCli, type Run } from './cli.js';
import { childrenOf } from './process_tree.js';
import { readSet } from './publish.js';
import { startRegisteredInstance, type RegisteredInstance } from './registered_instance.js';
import { startRegistrar, type Registrar, type RegistrarOptions } from './registrar.js';
import { startStreams, type Streams } from './streams.js';
import { until, untilValue } from './until.js';

/** A gateway of a platform. */
export interface PlatformGateway {
  readonly id: string;
  readonly url: string;
  readonly adminUrl: string;
}

/** Where a platform listens, on 127.0.0.1. */
export interface Ports {
  /** The server, or the first of an ensemble. */
  readonly zookeeper: number;
  /** All servers of an ensemble. */
  readonly ensemble?: readonly number[];
  readonly redis: number;
  readonly api: number;
}

/** What the API answered. */
export interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: T;
}

/** An instance in the test's own process. */
type InstanceOptions = Partial<Omit<Parameters<typeof startRegisteredInstance>[0], 'zookeeper'>>;

const LONG = { timeoutMs: 30_000 };

/**
 * A whole Ebbgate: ZooKeeper, Redis, gateways and a controller, and what a scenario asks of them. `ControlledPlatform` starts them as
 * processes that the scenario may break, `UpPlatform` by the command that a user types. The service is `shop` unless another one is named.
 */
export abstract class Platform<G extends PlatformGateway = PlatformGateway> implements AsyncDisposable {
  /** Commands straight into Redis. */
  readonly data: Redis;
  /** For a command line that speaks to it. */
  readonly env: {
    readonly EBBGATE_API: string;
    readonly EBBGATE_ZOOKEEPER: string;
    readonly EBBGATE_ACTOR: string;
    readonly EBBGATE_TOKEN?: string;
  };
  readonly #instances: RegisteredInstance[] = [];
  readonly #registrars: Registrar[] = [];

  protected constructor(
    readonly dir: string,
    readonly ports: Ports,
    readonly gateways: readonly G[],
    /** For all that this platform asks of the API; without it the API takes everybody for an admin. */
    readonly token?: string,
  ) {
    this.data = new Redis<'legacy'>({
      port: ports.redis,
      host: '127.0.0.1',
      lazyConnect: true,
      maxRetriesPerRequest: 1,
      retryStrategy: () => 50,
    });
    this.data.on('error', () => undefined); // a server that is away is part of the scenarios
    this.env = {
      EBBGATE_API: `http://127.0.0.1:${String(ports.api)}`,
      EBBGATE_ZOOKEEPER: zookeeperServers(ports),
      EBBGATE_ACTOR: 'ann',
      ...(token === undefined ? {} : { EBBGATE_TOKEN: token }),
    };
  }

  /** Pids of the masters of all gateways. */
  protected abstract masters(): readonly number[];
  /** Ends everything but instances. */
  protected abstract end(): Promise<void>;

  /** Pids of masters and workers of all gateways: the same before and after = nothing was reloaded. */
  nginxPids(): string {
    return this.masters()
      .map((pid) => [pid, ...childrenOf(pid)].join(','))
      .join(' ');
  }

  /** Starts an instance in this process and registers it; resolves once every gateway obeys, unless `wait` is false. */
  async startInstance({
    wait = true,
    ...options
  }: InstanceOptions & { readonly wait?: boolean } = {}): Promise<RegisteredInstance> {
    const zookeeper = zookeepers(this.ports);
    const one = await startRegisteredInstance({ service: 'shop', ...options, zookeeper });
    this.#instances.push(one);
    if (wait) await this.#inForce(one.id, one.service, one.version);
    return one;
  }

  /** Ends it as its registrar would: it says `leaving`, and goes once it is drained. */
  async stopInstance(one: RegisteredInstance): Promise<void> {
    await one.leave();
    const drained = async (): Promise<boolean> =>
      (await this.instance(one.id, one.service)).drain?.drained === true;
    await until(`${one.id} is drained`, drained, LONG);
    await one.withdraw();
  }

  /** Starts an instance under `ebbgate register`; resolves once every gateway obeys. */
  async register(options: Partial<RegistrarOptions> = {}): Promise<Registrar> {
    const { service = 'shop', version = 'v1', port = await reservePort() } = options;
    const env = { ...this.env, ...options.env };
    const registrar = startRegistrar(this.dir, env, { ...options, service, version, port });
    this.#registrars.push(registrar);
    await this.#inForce(registrar.id, service, version, () => {
      const { exitCode } = registrar.process;
      if (exitCode !== null) throw new Error(`the registrar has ended with ${String(exitCode)}`);
    });
    return registrar;
  }

  async #inForce(
    id: string,
    service: string,
    version: string,
    check: () => void = () => undefined,
  ): Promise<void> {
    await until(
      `${id} is registered, and its set is in force`,
      async () => {
        check();
        const found = await this.instance(id, service);
        if (!found.registered || !found.ready || found.version !== version) return false;
        return (await this.service(service)).convergence?.converged;
      },
      LONG,
    );
  }

  /** Runs `ebbgate` to its end, as ann. */
  cli(...args: readonly string[]): Promise<Run> {
    return runCli(args, this.env);
  }

  async call<T = unknown>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ApiAnswer<T>> {
    const answer = await request(this.env.EBBGATE_API + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: (text === '' ? null : JSON.parse(text)) as T,
    };
  }

  /** A page of the controller that is no JSON. */
  async text(
    path: string,
  ): Promise<{ readonly status: number; readonly text: string; readonly stale: string | null }> {
    const answer = await request(this.env.EBBGATE_API + path);
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
    const isReady = async (): Promise<boolean> =>
      (await this.call('GET', '/readyz?role=leader')).status === 200;
    await until('the controller leads, and is ready', isReady, LONG);
  }
  async converged(service = 'shop'): Promise<void> {
    const isConverged = async (): Promise<boolean | undefined> =>
      (await this.service(service)).convergence?.converged;
    await until(`every gateway obeys the set of ${service}`, isConverged, LONG);
  }

  /** Changes the service, whatever it was before. */
  async patch(service: string, body: object): Promise<MutationResource> {
    const path = `/v1/services/${service}`;
    const answer = await this.call<MutationResource>('PATCH', path, body, { 'if-match': '*' });
    if (answer.status !== 200) throw new Error(`PATCH ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Gives the service the route `path` and waits until every gateway serves it. */
  async route(service = 'shop', path = '/'): Promise<void> {
    await this.patch(service, { routes: [{ host: '*', path }] });
    for (const { url } of this.gateways)
      await until(`${url}${path} is served`, async () => (await statusOf(url + path)) === 200);
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
    options: Parameters<typeof startStreams>[1] = {},
    gateways: readonly PlatformGateway[] = this.gateways,
  ): Streams {
    return startStreams(
      gateways.map(({ url }) => url),
      options,
    );
  }

  /** The published set of a service as it is in Redis. */
  async published(service = 'shop'): Promise<ServiceSet> {
    const payload = await this.data.hget(`{ebb}:set:${service}`, 'payload');
    if (payload === null) throw new Error(`Redis has no set of ${service}`);
    return readSet(payload);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.data.disconnect();
    await Promise.all([
      ...this.#instances.map((one) => one.die()),
      ...this.#registrars.map((one) => one.vanish()),
    ]);
    await this.end();
  }
}

/** The ports of all ZooKeeper servers. */
function zookeepers({ ensemble, zookeeper }: Ports): readonly number[] {
  return ensemble ?? [zookeeper];
}

/** How the ZooKeeper servers are named to whom connects to them. */
export function zookeeperServers(ports: Ports): string {
  return zookeepers(ports)
    .map((port) => `127.0.0.1:${String(port)}`)
    .join(',');
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
