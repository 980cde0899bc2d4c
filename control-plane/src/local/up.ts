import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../model/ports.js';
import { controlApi, eventually, type ControlApi } from './control_api.js';
import { launchGateway } from './gateway.js';
import { all } from './all.js';
import { DEMO_SERVICE } from './demo_names.js';
import { routeDemo } from './demo_route.js';
import { demoInstance, type DemoInstanceProcess } from './demo_process.js';
import { controllerName, gatewayName, planPorts, takenPorts, type PortPlan } from './ports.js';
import { launch, type LocalProcess } from './process.js';
import { MARK, recordOf, sweep, type ProcessRecord } from './processes.js';
import { ask, launchRedis } from './redis.js';
import { claim, clearState, writeEndpoints, writeState, type Endpoints, type UpState } from './state.js';
import { supervise, type Supervised } from './supervise.js';
import { launchZooKeeper } from './zookeeper.js';

// Longer than other files: the order in which a whole platform starts, is watched, and stops, in one place.

/** What a gateway of a local Ebbgate is rendered from. */
export interface GatewayPlace {
  readonly id: string;
  readonly dir: string;
  readonly port: number;
  readonly adminPort: number;
  readonly redisPort: number;
}

export interface UpOptions {
  /** State and logs; absolute. */
  readonly dir: string;
  readonly basePort: number;
  readonly gateways: number;
  readonly controllers: number;
  readonly instances: number;
  /** How to run `ebbgate`: program and first arguments. */
  readonly ebbgate: readonly [string, ...string[]];
  /** Of everything that is started. */
  readonly env: NodeJS.ProcessEnv;
  /** Another nginx than the one on the PATH. */
  readonly nginx?: string | undefined;
  /** Of the control API. */
  readonly token?: string | undefined;
  /** This process. */
  readonly pid: number;
  readonly clock: Clock;
  readonly renderGateway: (place: GatewayPlace) => string;
  /** Hears progress and everything that happens later, one line each. */
  readonly say: (line: string) => void;
  /** Called once, when everything answers. */
  readonly onReady: (endpoints: Endpoints) => void;
  /** Aborted = stop everything, also in the middle of the start. */
  readonly signal: AbortSignal;
}

/** On loopback, whatever the environment of the person says of other controllers. */
const PLAIN_API = {
  EBBGATE_API_TLS_CERT: '',
  EBBGATE_API_TLS_KEY: '',
  EBBGATE_API_CLIENT_CA: '',
  EBBGATE_API_ADVERTISE: '',
};
/** Sessions of the demo instances. The settle time is twice as long, as design and options page advise. */
const PROVIDER_SESSION = '4s';
const SETTLE = '8s';
const DEMO_VERSION = 'v1';

/**
 * Runs a whole Ebbgate on this machine until `signal` aborts: private ZooKeeper, Redis, gateways, controllers and
 * demo instances. Rejects if it cannot start; whatever happens, nothing that it started is left behind.
 */
export async function up(options: UpOptions): Promise<void> {
  const planned = planPorts(options.basePort, options.gateways, options.instances, options.controllers);
  if (!planned.ok) throw new Error(planned.error);
  mkdirSync(options.dir, { recursive: true });
  const dir = realpathSync(options.dir);
  const state = await claim(dir, options.pid, () => {
    options.say('Ending what an earlier `ebbgate up` left running here');
  });
  const local = new LocalEbbgate(
    { ...options, dir, env: { ...options.env, [MARK]: dir } },
    planned.value,
    state,
  );
  try {
    const taken = await takenPorts(planned.value);
    if (taken.length > 0)
      throw new Error(`${taken.join('\n')}\nstop what listens there, or give another --base-port`);
    await local.run();
  } finally {
    await local.stop();
    clearState(dir);
  }
}

/** The composition. `run` starts in the order of need, `stop` ends in an order that cuts no request. */
class LocalEbbgate {
  readonly #options: UpOptions;
  readonly #ports: PortPlan;
  readonly #state: UpState;
  readonly #api: ControlApi;
  readonly #apiUrls: readonly string[];
  readonly #gateways: Supervised[] = [];
  readonly #stores: Supervised[] = [];
  readonly #controllers: Supervised[] = [];
  readonly #instances = new Set<DemoInstanceProcess>();
  #starting: Promise<void> = Promise.resolve();
  #ready = false;
  #stopping = false;

  constructor(options: UpOptions, ports: PortPlan, state: UpState) {
    this.#options = options;
    this.#ports = ports;
    this.#state = state;
    this.#apiUrls = ports.apis.map(url);
    this.#api = controlApi(this.#apiUrls, options.token);
  }

  /** Resolves once `signal` has aborted, rejects if the start fails. `stop` is due in either case. */
  async run(): Promise<void> {
    const { signal, onReady } = this.#options;
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
      if (signal.aborted) resolve();
    });
    this.#starting = this.#start();
    const started = this.#starting.then(() => true);
    if (!(await Promise.race([started, stopped.then(() => false)]))) return;
    this.#ready = true;
    writeEndpoints(this.#options.dir, this.#endpoints());
    onReady(this.#endpoints());
    this.#note(); // `ready` comes last: whoever waits for it finds all the rest
    await stopped;
  }

  async #start(): Promise<void> {
    const { zookeeper, redis, apis, gateways, instances } = this.#ports;
    const { dir, env, say, signal } = this.#options;
    await all([
      this.#startStore('ZooKeeper', zookeeper, () =>
        launchZooKeeper({ dir: join(dir, 'zookeeper'), port: zookeeper, env }),
      ),
      this.#startStore('Redis', redis, () => launchRedis({ dir: join(dir, 'redis'), port: redis, env })),
    ]);
    await all([
      ...apis.map((_, index) => this.#startController(index)),
      ...gateways.map((_, index) => this.#startGateway(index)),
      ...instances.map((port) => this.#startInstance(port)),
    ]);
    await this.#retireGateways();
    if (instances.length > 0) {
      await routeDemo({ api: this.#api, instances: this.#instances, gateways: gateways.map(url), signal });
      say(`${'Route'.padEnd(18)} / → ${DEMO_SERVICE}`);
    }
  }

  async #startStore(name: string, port: number, start: () => Promise<LocalProcess>): Promise<void> {
    this.#stores.push(await this.#supervised(name, port, start));
  }

  async #startController(index: number): Promise<void> {
    const name = controllerName(index);
    const port = this.#ports.apis[index] ?? 0;
    this.#controllers.push(await this.#supervised(name, port, () => this.#launchController(name, port)));
  }

  async #startGateway(index: number): Promise<void> {
    const [port, adminPort] = [this.#ports.gateways[index] ?? 0, this.#ports.admin[index] ?? 0];
    const { nginx, dir, renderGateway } = this.#options;
    const place = { id: gatewayName(index), dir: join(dir, gatewayName(index)), port, adminPort };
    const conf = renderGateway({ ...place, redisPort: this.#ports.redis });
    const start = (): Promise<LocalProcess> =>
      launchGateway({ ...place, conf, graceMs: 2_000, env: { [MARK]: dir }, ...(nginx ? { nginx } : {}) });
    this.#gateways.push(await this.#supervised(place.id, port, start));
  }

  async #supervised(name: string, port: number, launchIt: () => Promise<LocalProcess>): Promise<Supervised> {
    const { say, signal, clock } = this.#options;
    const before = clock.monotonic();
    const start = async (): Promise<LocalProcess> => {
      const started = await launchIt();
      if (!signal.aborted) return started;
      await started.stop(); // the stop came while it started
      throw new Error(`${name} was stopped while it started`);
    };
    const supervised = await supervise({
      name,
      start,
      say,
      clock,
      onChange: () => {
        this.#note();
      },
    });
    const seconds = ((clock.monotonic() - before) / 1_000).toFixed(1);
    say(`${name.padEnd(18)} 127.0.0.1:${String(port)}  up after ${seconds} s`);
    return supervised;
  }

  #launchController(name: string, port: number): Promise<LocalProcess> {
    const { dir, env, ebbgate } = this.#options;
    const { zookeeper, redis } = this.#ports;
    const [program, ...args] = ebbgate;
    return launch({
      name,
      command: program,
      args: [...args, 'controller'],
      env: {
        ...env,
        EBBGATE_ZOOKEEPER: `127.0.0.1:${String(zookeeper)}`,
        EBBGATE_REDIS: `redis://127.0.0.1:${String(redis)}`,
        EBBGATE_API_LISTEN: `127.0.0.1:${String(port)}`,
        ...PLAIN_API,
        EBBGATE_CONTROLLER_ID: name,
        EBBGATE_STATE_DIR: join(dir, name),
        EBBGATE_ALLOWED_NETWORKS: '127.0.0.0/8',
        EBBGATE_SETTLE: SETTLE,
      },
      logFile: join(dir, name, 'controller.log'),
      readyTimeoutMs: 30_000,
      graceMs: 2_000,
      ready: () => ask(port, 'GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
    });
  }

  async #startInstance(port: number): Promise<void> {
    const { dir, env, ebbgate, say } = this.#options;
    const instance = await demoInstance({
      ...{ service: DEMO_SERVICE, version: DEMO_VERSION, port, ebbgate, session: PROVIDER_SESSION },
      logFile: join(dir, 'instances', `${String(port)}.log`),
      env: {
        ...env,
        EBBGATE_ZOOKEEPER: `127.0.0.1:${String(this.#ports.zookeeper)}`,
        EBBGATE_API: this.#apiUrls.join(','),
      },
    });
    this.#instances.add(instance);
    say(`${'Demo instance'.padEnd(18)} ${instance.id}  registered`);
    void instance.registrar.exited.then((code) => {
      this.#instances.delete(instance);
      if (this.#stopping) return;
      say(
        `demo instance ${instance.id} has ended (${code === null ? 'killed' : `exit code ${String(code)}`})`,
      );
      this.#note();
    });
    this.#note();
  }

  /** The roster outlives an `up`. A gateway that is not started this time would block every drain by its silence. */
  async #retireGateways(): Promise<void> {
    const ours = new Set(this.#ports.gateways.map((_, index) => gatewayName(index)));
    await eventually(15_000, this.#options.signal, async () => {
      const { items } = (await this.#api.call('GET', '/v1/gateways')) as { items: { id: string }[] };
      for (const { id } of items.filter((gateway) => !ours.has(gateway.id)))
        await this.#api.call('POST', `/v1/gateways/${id}/leave`, { reason: 'not part of this `ebbgate up`' });
    });
  }

  #endpoints(): Endpoints {
    const { gateways, admin, zookeeper, redis } = this.#ports;
    return {
      gateways: gateways.map(url),
      gateway_admin: admin.map(url),
      api: this.#apiUrls[0] ?? '',
      apis: this.#apiUrls,
      zookeeper: `127.0.0.1:${String(zookeeper)}`,
      redis: `127.0.0.1:${String(redis)}`,
      instances: [...this.#instances]
        .map(({ id, registrar }) => ({ id, version: DEMO_VERSION, pid: registrar.pid }))
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
    };
  }

  /** Writes down what runs now, for `status`, `down` and whoever cleans up after a kill. */
  #note(): void {
    const { dir } = this.#options;
    const records = [...this.#stores, ...this.#controllers, ...this.#gateways].map((one) => one.record());
    const instances = [...this.#instances].map(({ id, registrar }) =>
      recordOf(`demo instance ${id}`, registrar.pid),
    );
    const processes = [...records, ...instances].filter((one): one is ProcessRecord => one !== undefined);
    writeState(dir, { ...this.#state, ready: this.#ready, processes });
    if (this.#ready) writeEndpoints(dir, this.#endpoints());
  }

  /**
   * Gateways first, so that open requests end while everything behind them still runs; then the instances, which
   * ask the controllers; then the controllers; ZooKeeper and Redis last. At most about 9 s.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { dir, pid, token } = this.#options;
    const api = controlApi(this.#apiUrls, token, 1_000);
    await Promise.all(
      this.#gateways.map(async (gateway) => {
        await gateway.stop();
        const left = { reason: 'stopped by `ebbgate up`' };
        const reported = await api.call('POST', `/v1/gateways/${gateway.name}/leave`, left).then(
          () => true,
          () => false,
        );
        // As nginx/leave.sh does: who has left is known again before it serves from its disk.
        if (reported) writeFileSync(join(dir, gateway.name, 'state', 'left'), '');
      }),
    );
    await Promise.all([...this.#instances].map((instance) => instance.stop()));
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
    await Promise.all(this.#stores.map((server) => server.stop()));
    await sweep(dir, [], [pid], 1_000); // what was still starting, and what a killed registrar left
    await this.#starting.catch(() => undefined);
  }
}

function url(port: number): string {
  return `http://127.0.0.1:${String(port)}`;
}
