import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request, type Dispatcher } from 'undici';
import {
  reservePort,
  type GivenOptions,
  type Heartbeat,
  launchGateway,
  launchRedis,
  type LocalGateway,
  type LocalProcess,
  type Peer,
  type Position,
  type ServiceSet,
} from '../../control-plane/src/testkit.js';
import { gatewayPlace, startGateway, type GatewayPlace } from './gateway.js';
import { Publishing, reached } from './publish.js';
import { untilValue } from './until.js';

/** Options of the gateway's conf; a function if they depend on where it listens. */
type Options = GivenOptions | ((place: GatewayPlace) => GivenOptions);

/** One real gateway with one real Redis; the test is the controller. Every service has the route `<service>.test/`. */
export class Workbench implements AsyncDisposable {
  private readonly names = new Set<string>();
  private readonly agent = new Agent({ connections: 32, pipelining: 1 });

  private constructor(
    readonly dir: string,
    readonly redisPort: number,
    readonly place: GatewayPlace,
    public redis: LocalProcess,
    readonly publishing: Publishing,
    private readonly options: Options,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  private running: LocalGateway | null = null;

  /** Starts Redis and prepares the gateway's place; `start` starts the gateway, with `env` in its environment. */
  static async prepare(
    options: Options = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<Workbench> {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-e2e-'));
    const redisPort = await reservePort();
    const place = await gatewayPlace('gw-1', dir, redisPort);
    const redis = await launchRedis({ dir: join(dir, 'redis'), port: redisPort });
    return new Workbench(dir, redisPort, place, redis, new Publishing(redisPort), options, env);
  }

  /** `prepare` and `start`. */
  static async start(options: Options = {}, env: Readonly<Record<string, string>> = {}): Promise<Workbench> {
    const bench = await Workbench.prepare(options, env);
    await bench.start();
    return bench;
  }

  get gateway(): LocalGateway {
    if (this.running === null) throw new Error('the gateway was not started');
    return this.running;
  }

  async start(): Promise<LocalGateway> {
    this.running = await startGateway(
      this.place,
      typeof this.options === 'function' ? this.options(this.place) : this.options,
      this.env,
    );
    return this.running;
  }

  /** Starts the gateway by a conf of another release. */
  async startBy(conf: string): Promise<LocalGateway> {
    this.running = await launchGateway({ ...this.place, conf });
    return this.running;
  }

  async startRedis(): Promise<void> {
    this.redis = await launchRedis({ dir: join(this.dir, 'redis'), port: this.redisPort });
  }

  /** Publishes a set with its route and waits until the gateway acks it. */
  async serve(service: string, peers: readonly Peer[], more: Partial<ServiceSet> = {}): Promise<Position> {
    const position = await this.publish(service, peers, more);
    await this.acked(position);
    return position;
  }

  /** Publishes a set with its route. */
  async publish(service: string, peers: readonly Peer[], more: Partial<ServiceSet> = {}): Promise<Position> {
    const position = await this.publishing.set(service, peers, more);
    if (this.names.has(service)) return position;
    this.names.add(service);
    const names = [...this.names].sort();
    return this.publishing.routes(names.map((name) => ({ host: hostOf(name), path: '/', service: name })));
  }

  acked(position: Position): Promise<Heartbeat> {
    return this.heard(`ack of ${position.generation}`, (beat) => reached(beat.applied, position));
  }

  /** Waits for a heartbeat of which `fits` is true. */
  async heard(what: string, fits: (beat: Heartbeat) => boolean, timeoutMs = 15_000): Promise<Heartbeat> {
    const read = (): Promise<Heartbeat | null> => this.publishing.heartbeat(this.place.id);
    const beat = await untilValue(what, read, (one) => one !== null && fits(one), { timeoutMs });
    return beat as Heartbeat;
  }

  /** One request to the service through the gateway. */
  async ask(
    service: string,
    path = '/',
    options: {
      readonly method?: Dispatcher.HttpMethod;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Buffer;
    } = {},
  ): Promise<Answer> {
    const response = await request(`${this.gateway.url}${path}`, {
      method: options.method ?? 'GET',
      headers: { host: hostOf(service), ...options.headers },
      body: options.body ?? null,
      dispatcher: this.agent,
    });
    const text = await response.body.text();
    return { status: response.statusCode, headers: response.headers, text };
  }

  /** A page of the admin listener. */
  async admin(path: string): Promise<Answer> {
    const response = await request(`${this.gateway.adminUrl}${path}`, { dispatcher: this.agent });
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy();
    await this.running?.stop();
    await this.publishing[Symbol.asyncDispose]();
    await this.redis.stop();
  }
}

/** What came back through the gateway. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** The host of a service's route on the workbench. */
export function hostOf(service: string): string {
  return `${service}.test`;
}
