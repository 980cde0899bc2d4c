import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ask,
  HIGH_AVAILABILITY,
  launch,
  launchZooKeeper,
  type LocalGateway,
  type LocalProcess,
  productRoot,
  readCompose,
  type Service,
  reservePort,
} from '../../control-plane/src/testkit.js';
import { EBBGATE, runProgram } from './cli.js';
import { breakable, type Breakable } from './faults.js';
import { gatewayPlace, startGateway } from './gateway.js';
import { Platform, type PlatformGateway } from './platform.js';
import { until } from './until.js';

/*
 * The services of docker-compose.yml and docs/how-to/compose/high-availability.yml as processes of this machine: their own commands, confs,
 * environments and secrets. What differs is where they are: all at 127.0.0.1, on ports of their own, in directories in place of volumes.
 */

/** A service as a process that a scenario may break. */
export interface Composed extends Breakable {
  /** Its service's. */
  readonly name: string;
  /** Where clients find it. */
  readonly port: number;
}
type ComposedGateway = PlatformGateway & Breakable<LocalGateway>;

/** What a service has on this machine. */
interface Place {
  readonly service: Service;
  readonly port: number;
  /** ZooKeeper's for followers and for votes. */
  readonly more: readonly number[];
}

export class ComposedPlatform extends Platform<ComposedGateway> {
  private constructor(
    dir: string,
    token: string,
    readonly zookeepers: readonly Composed[],
    readonly redis: readonly Composed[],
    readonly sentinels: readonly Composed[],
    readonly controllers: readonly Composed[],
    gateways: readonly ComposedGateway[],
  ) {
    const [zookeeper, server, api] = [zookeepers, redis, controllers].map((all) => all[0]?.port);
    const ensemble = zookeepers.map(({ port }) => port);
    super(dir, { zookeeper: zookeeper!, ensemble, redis: server!, api: api! }, gateways, token);
  }

  /** Starts all of it but instances; resolves once the gateways follow a controller that leads. */
  static async start(): Promise<ComposedPlatform> {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-composed-'));
    const { services } = readCompose(productRoot(), HIGH_AVAILABILITY);
    const places = new Map<string, Place>();
    for (const [name, service] of Object.entries(services))
      if (/^(zookeeper|redis|sentinel|controller)(-\d+)?$/.test(name)) {
        const more = name.startsWith('zookeeper') ? [await reservePort(), await reservePort()] : [];
        places.set(name, { service, port: await reservePort(), more });
      }
    const here = translation(places);
    await makeSecrets(dir, here(services.secrets!.entrypoint!.at(-1)!));
    const all = (
      kind: string,
      start: (name: string, place: Place) => Promise<LocalProcess>,
    ): readonly Composed[] =>
      [...places]
        .filter(([name]) => name.startsWith(kind))
        .map(([name, place]) =>
          Object.assign(
            breakable(name, () => start(name, place)),
            { name, port: place.port },
          ),
        );
    const gateways: ComposedGateway[] = [];
    for (const id of ['gateway-1', 'gateway-2']) gateways.push(await gatewayOf(dir, id, services, here));
    const token = secret(dir, 'controller/token');
    const platform = new ComposedPlatform(
      ...[dir, token],
      all('zookeeper', (name, place) => startZooKeeper(dir, name, place, here)),
      all('redis', (name, place) => startShell(dir, name, place, here)),
      all('sentinel', (name, place) => startShell(dir, name, place, here)),
      all('controller', (name, place) => startController(dir, name, place, here)),
      gateways,
    );
    try {
      const { zookeepers, redis, sentinels, controllers } = platform;
      // All at once, as compose does.
      await Promise.all(
        [...zookeepers, ...redis, ...sentinels, ...controllers, ...gateways].map((one) => one.start()),
      );
      await platform.settled();
    } catch (error) {
      await platform[Symbol.asyncDispose]();
      throw error;
    }
    return platform;
  }

  /** The APIs of both controllers, for who takes several. */
  get apis(): string {
    return this.controllers.map(({ port }) => `http://127.0.0.1:${String(port)}`).join(',');
  }

  /** Waits until one controller leads, and all gateways are live and on the newest sets. */
  async settled(): Promise<void> {
    await until(
      'all gateways are live and on the newest sets',
      async () => {
        const fleet = await this.fleet().catch(() => []);
        return (
          fleet.length === this.gateways.length &&
          fleet.every(({ state, behind }) => state === 'live' && behind === 0)
        );
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Asks a Redis or a sentinel, as the user of the sentinels. */
  async askAsSentinel({ port }: Composed, ...words: readonly string[]): Promise<string> {
    const login = ['-p', String(port), '-e', '--no-auth-warning', '--user', 'sentinel'];
    const env = { REDISCLI_AUTH: secret(this.dir, 'redis/sentinel-password') };
    return (await runProgram('redis-cli', [...login, ...words], env)).stdout.trim();
  }

  protected override masters(): readonly number[] {
    return this.gateways.map((gateway) => gateway.process.pid);
  }

  protected override async end(): Promise<void> {
    const { gateways, controllers, sentinels, redis, zookeepers } = this;
    for (const kind of [gateways, controllers, sentinels, redis, zookeepers])
      await Promise.all(kind.map((one) => one.kill().catch(() => undefined)));
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}

type Translate = (text: string) => string;

/** Addresses of the compose files → where that service is here. */
function translation(places: ReadonlyMap<string, Place>): Translate {
  const pairs = [...places].flatMap(([name, { service, port, more }]): (readonly [string, string])[] => {
    const here = (one: number | undefined): string => `127.0.0.1:${String(one)}`;
    const address = service.environment?.ADDRESS;
    if (address !== undefined)
      return [
        [`${address} 6379`, here(port).replace(':', ' ')],
        [`${address}:26379`, here(port)],
      ];
    if (name.startsWith('controller')) return [[`${name}:8090`, here(port)]];
    return [
      [`${name}:2888:3888;2181`, `${here(more[0])}:${String(more[1])};${here(port)}`],
      [`${name}:2181`, here(port)],
    ];
  });
  return (text) => {
    const moved = pairs.reduce(
      (said, [there, here]) => said.replaceAll(new RegExp(`(?<!\\w)${there}`, 'g'), here),
      text,
    );
    if (/10\.213\.2\./.test(moved)) throw new Error(`an address that nobody has here: ${moved}`);
    return moved;
  };
}

async function makeSecrets(dir: string, redis: string): Promise<void> {
  const root = join(productRoot(), 'control-plane');
  const words = [join(dir, 'secrets'), join(root, 'redis/users.acl'), redis];
  const made = await runProgram('/bin/sh', [join(root, 'container/make-secrets.sh'), ...words]);
  if (made.code !== 0) throw new Error(made.stderr);
}

function secret(dir: string, name: string): string {
  return readFileSync(join(dir, 'secrets', name), 'utf8').trim();
}

/** What the official image's entrypoint writes into zoo.cfg, and its defaults. */
function zooCfg(environment: Readonly<Record<string, string>>): readonly string[] {
  const said = (name: string, fallback: string): string => environment[`ZOO_${name}`] ?? fallback;
  return [
    `tickTime=${said('TICK_TIME', '2000')}`,
    `initLimit=${said('INIT_LIMIT', '5')}`,
    `syncLimit=${said('SYNC_LIMIT', '2')}`,
    `maxClientCnxns=${said('MAX_CLIENT_CNXNS', '60')}`,
    `standaloneEnabled=${said('STANDALONE_ENABLED', 'true')}`,
    `4lw.commands.whitelist=${said('4LW_COMMANDS_WHITELIST', 'srvr')}`,
    // 2 and 20 ticks, as without these lines.
    ...['minSessionTimeout=-1', 'maxSessionTimeout=-1'],
    ...said('SERVERS', '').split(' '),
  ];
}

async function startZooKeeper(
  dir: string,
  name: string,
  { service, port }: Place,
  here: Translate,
): Promise<LocalProcess> {
  const environment = service.environment ?? {};
  const home = join(dir, name);
  mkdirSync(join(home, 'data'), { recursive: true });
  writeFileSync(join(home, 'data/myid'), environment.ZOO_MY_ID ?? '1');
  const config = zooCfg({ ...environment, ZOO_SERVERS: here(environment.ZOO_SERVERS ?? '') });
  for (let tries = 1; ; tries += 1) {
    try {
      return await launchZooKeeper({ dir: home, port, config });
    } catch (error) {
      if (tries === 3) throw error; // 3.8.0 may die of an error of its own when members start at once
    }
  }
}

/** A service whose command is shell: a Redis, or a sentinel. */
function startShell(
  dir: string,
  name: string,
  { service, port }: Place,
  here: Translate,
): Promise<LocalProcess> {
  const [shell = '', ...flags] = service.entrypoint ?? [];
  const home = join(dir, name);
  mkdirSync(home, { recursive: true });
  const script = here(service.command!.join('\n'))
    .replaceAll(/(?<![\w:])\/data\b/g, home)
    .replaceAll('/secrets/', `${join(dir, 'secrets/redis')}/`)
    .replaceAll(/^port 2?6379$/gm, `port ${String(port)}\nbind 127.0.0.1`)
    .replaceAll('$ADDRESS 6379', `$ADDRESS ${String(port)}`);
  return launch({
    name,
    command: shell,
    args: [...flags, script],
    env: { ...process.env, ...service.environment, ADDRESS: '127.0.0.1' },
    logFile: join(home, 'log'),
    readyTimeoutMs: 60_000,
    ready: () => ask(port, 'PING\r\n', 'NOAUTH'),
  });
}

function startController(
  dir: string,
  name: string,
  { service, port }: Place,
  here: Translate,
): Promise<LocalProcess> {
  const [command, ...first] = EBBGATE;
  const said = Object.entries(service.environment ?? {}).map(([key, value]) => [
    key,
    here(value).replace('/secrets/', `${join(dir, 'secrets/controller')}/`),
  ]);
  const state = join(dir, name);
  mkdirSync(state, { recursive: true });
  return launch({
    name,
    command,
    args: [...first, 'controller'],
    env: {
      ...process.env,
      ...(Object.fromEntries(said) as NodeJS.ProcessEnv),
      EBBGATE_API_LISTEN: `127.0.0.1:${String(port)}`,
      EBBGATE_STATE_DIR: state,
      EBBGATE_ALLOWED_NETWORKS: '127.0.0.0/8',
    },
    logFile: join(dir, `${name}.log`),
    readyTimeoutMs: 60_000,
    ready: () => ask(port, 'GET /livez HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
  });
}

async function gatewayOf(
  dir: string,
  id: string,
  services: Readonly<Record<string, Service>>,
  here: Translate,
): Promise<ComposedGateway> {
  const flags = services[`${id}-conf`]!.command!;
  const redis = here(flags.find((flag) => flag.startsWith('--redis='))!.slice('--redis='.length));
  const place = await gatewayPlace(id, dir, 0);
  const env = Object.fromEntries(
    ['EBBGATE_REDIS_PASSWORD', 'EBBGATE_REDIS_SENTINEL_PASSWORD'].map((name) => [
      name,
      secret(dir, services[id]!.environment![`${name}_FILE`]!.replace('/secrets/', 'gateway/')),
    ]),
  );
  const gateway = breakable(id, () => startGateway(place, { redis, redis_port: 6379 }, env));
  const [url, adminUrl] = [place.port, place.adminPort].map((port) => `http://127.0.0.1:${String(port)}`);
  return Object.assign(gateway, { id, url: url!, adminUrl: adminUrl! });
}
