import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  launch,
  launchGateway,
  launchRedis,
  launchZooKeeper,
  type LocalGateway,
  type LocalProcess,
  productVersion,
  reservePort,
} from '../../control-plane/src/testkit.js';
import { gatewayPlace } from './gateway.js';
import { Platform, statusOf, type PlatformGateway, type Ports } from './platform.js';
import { renderAs, renderOptions, unpackRecorded, type Release } from './recorded.js';
import { until } from './until.js';

/*
 * An installation on hosts, of which each is a directory: two controllers and two gateways with a script in place of systemd, behind an nginx
 * that balances. Everything that runs is real. A page's commands are run on it with this run's places in place of the page's.
 */

const ROOT = join(import.meta.dirname, '../..');
const SCRIPTS = join(import.meta.dirname, 'hosts');
const CONTROLLERS = ['control-1', 'control-2'] as const;
const EDGES = ['edge-1', 'edge-2'] as const;
/** What the page calls the two releases. */
const OLD = '0.1.0';
const NEW = '0.2.0';

interface Host {
  readonly name: string;
  readonly dir: string;
  /** Of the API, or of traffic. */
  readonly port: number;
  readonly adminPort: number;
}

interface Parts {
  readonly hosts: ReadonlyMap<string, Host>;
  readonly servers: readonly LocalProcess[];
  readonly old: Release;
  readonly balancerPort: number;
}

export class Hosts extends Platform {
  readonly #parts: Parts;

  private constructor(dir: string, ports: Ports, parts: Parts) {
    super(
      dir,
      ports,
      EDGES.map((id): PlatformGateway => {
        const { port = 0, adminPort = 0 } = parts.hosts.get(id) ?? {};
        return { id, url: `http://127.0.0.1:${port}`, adminUrl: `http://127.0.0.1:${adminPort}` };
      }),
    );
    this.#parts = parts;
  }

  /** Starts everything, in the older release. */
  static async start(): Promise<Hosts> {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'ebbgate-hosts-')));
    const old = unpackRecorded(join(dir, 'releases', OLD));
    symlinkSync(ROOT, join(dir, 'releases', NEW));
    const hosts = new Map<string, Host>();
    for (const name of [...CONTROLLERS, ...EDGES]) {
      const host = { name, dir: join(dir, name), port: await reservePort(), adminPort: await reservePort() };
      mkdirSync(join(host.dir, 'etc'), { recursive: true });
      mkdirSync(join(host.dir, 'run'));
      symlinkSync(old.root, join(host.dir, 'ebbgate'));
      hosts.set(name, host);
    }
    const ports = {
      zookeeper: await reservePort(),
      redis: await reservePort(),
      api: hosts.get('control-1')?.port ?? 0,
    };
    const balancerPort = await reservePort();
    const servers: LocalProcess[] = [];
    const platform = new Hosts(dir, ports, { hosts, servers, old, balancerPort });
    try {
      servers.push(
        ...(await Promise.all([
          launchZooKeeper({ dir: join(dir, 'zookeeper'), port: ports.zookeeper }),
          launchRedis({ dir: join(dir, 'redis'), port: ports.redis }),
        ])),
      );
      await platform.#startHosts();
      servers.push(await launchBalancer(join(dir, 'balancer'), balancerPort, platform.#edges()));
    } catch (error) {
      await platform[Symbol.asyncDispose]();
      throw error;
    }
    return platform;
  }

  /** Starts one more gateway of the older release, which no load balancer knows. */
  async startOlderGateway(id: string): Promise<LocalGateway> {
    const place = await gatewayPlace(id, this.dir, this.ports.redis);
    return launchGateway({ ...place, conf: renderAs(this.#parts.old, place) });
  }

  /** The load balancer in front of the gateways. */
  get url(): string {
    return `http://127.0.0.1:${this.#parts.balancerPort}`;
  }

  /** Where the shell of the page runs, and what it knows. */
  get shell(): { readonly cwd: string; readonly env: NodeJS.ProcessEnv } {
    const { PATH = '' } = process.env;
    const api = CONTROLLERS.map((name) => this.api(name)).join(',');
    return {
      cwd: join(this.dir, 'operator'),
      env: {
        ...process.env,
        ...{ EBBGATE_API: api, EBBGATE_ACTOR: 'ann', PATH: `${join(this.dir, 'bin')}:${PATH}` },
        ...{ LB_DIR: join(this.dir, 'balancer'), LEAVE: join(ROOT, 'nginx/leave.sh') },
      },
    };
  }

  /** The API of a controller. */
  api(name: (typeof CONTROLLERS)[number]): string {
    return this.placed(`http://${name}:8090`, name);
  }

  /** `ebbgate` of the older release, as program and first argument. */
  get older(): readonly [string, string] {
    return [process.execPath, join(this.#parts.old.root, 'scripts/ebbgate.mjs')];
  }

  /** What the command line of the older release prints. */
  olderCli(...args: readonly string[]): string {
    const [program, script] = this.older;
    return execFileSync(program, [script, ...args, '--api', this.api('control-1')], { encoding: 'utf8' });
  }

  /** A command of the page, or the line that names one, with this run's places. */
  command(text: string): string {
    const remote = /^ssh (\S+) "([^]*)"$/.exec(text);
    if (remote)
      return `HOST_DIR=${join(this.dir, remote[1] ?? '')} sh -c "${this.placed(remote[2] ?? '', remote[1] ?? '')}"`;
    const copied = /^scp (\S+) ([^:]+):(\S+)$/.exec(text);
    if (copied) return `cp ${copied[1] ?? ''} ${this.placed(copied[3] ?? '', copied[2] ?? '')}`;
    return this.placed(text, 'operator');
  }

  /** The text with the places of `host`. */
  placed(text: string, host: string): string {
    const { hosts, old } = this.#parts;
    const { adminPort = 0 } = hosts.get(host) ?? {};
    return text
      .replace(/(?:\/opt\/ebbgate-|\/usr\/share\/ebbgate\/)(0\.\d\.0)/g, `${this.dir}/releases/v$1`)
      .replaceAll('/opt/ebbgate', join(this.dir, host, 'ebbgate'))
      .replaceAll('/etc/ebbgate', join(this.dir, host, 'etc'))
      .replace(
        /http:\/\/(control-\d):8090/g,
        (_, name: string) => `http://127.0.0.1:${hosts.get(name)?.port ?? 0}`,
      )
      .replaceAll('localhost:8180', `127.0.0.1:${adminPort}`)
      .replace(/(?<![v\d.])0\.1\.0/g, old.version)
      .replace(/(?<![v\d.])0\.2\.0/g, productVersion(ROOT))
      .replaceAll('/releases/v', '/releases/');
  }

  protected override masters(): readonly number[] {
    return EDGES.map((id) => this.#pidOf(id, 'ebbgate-gateway'));
  }

  protected override async end(): Promise<void> {
    const units = [...CONTROLLERS.map((name) => [name, 'ebbgate-controller'] as const)];
    for (const [name, unit] of [...units, ...EDGES.map((id) => [id, 'ebbgate-gateway'] as const)]) {
      const pid = this.#pidOf(name, unit);
      try {
        if (pid > 0) process.kill(-pid, 'SIGKILL'); // each leads a group of its own
      } catch {
        // It has ended already.
      }
    }
    for (const server of [...this.#parts.servers].reverse()) await server.stop();
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }

  #pidOf(host: string, unit: string): number {
    try {
      return Number(readFileSync(join(this.dir, host, `${unit}.pid`), 'utf8'));
    } catch {
      return 0;
    }
  }

  #edges(): readonly Host[] {
    return EDGES.flatMap((id) => this.#parts.hosts.get(id) ?? []);
  }

  async #startHosts(): Promise<void> {
    const { hosts, old } = this.#parts;
    const [bin, operator] = [join(this.dir, 'bin'), join(this.dir, 'operator')];
    for (const folder of [bin, operator]) mkdirSync(folder);
    for (const name of ['systemctl', 'load-balancer']) symlinkSync(join(SCRIPTS, name), join(bin, name));
    // The command line of whoever upgrades is the new one.
    writeFileSync(join(bin, 'ebbgate'), `#!/bin/sh\nexec node '${join(ROOT, 'scripts/ebbgate.mjs')}' "$@"\n`);
    chmodSync(join(bin, 'ebbgate'), 0o755);
    for (const name of CONTROLLERS) {
      const { dir, port } = hosts.get(name) ?? { dir: '', port: 0 };
      writeFileSync(join(dir, 'etc/controller.env'), controllerEnv(name, port, this.ports));
    }
    for (const host of this.#edges()) {
      const { name: id, dir, port, adminPort } = host;
      const place = { id, port, adminPort, dir: join(dir, 'run'), redisPort: this.ports.redis };
      writeFileSync(join(operator, `${id}.options`), `${renderOptions(place).join('\n')}\n`);
      writeFileSync(join(dir, 'etc/nginx.conf'), renderAs(old, place));
    }
    // The first one leads.
    this.#systemctl('control-1', 'start', 'ebbgate-controller');
    await this.#leads('control-1');
    this.#systemctl('control-2', 'start', 'ebbgate-controller');
    for (const id of EDGES) this.#systemctl(id, 'start', 'ebbgate-gateway');
    await until('all gateways are in the roster', async () => {
      const fleet = await this.fleet();
      return fleet.length === EDGES.length && fleet.every((one) => one.in_roster && one.behind === 0);
    });
  }

  #leads(name: (typeof CONTROLLERS)[number]): Promise<boolean> {
    const url = `${this.api(name)}/readyz`;
    return until(`${name} leads`, async () => (await statusOf(url)) === 200, { timeoutMs: 30_000 });
  }

  #systemctl(host: string, verb: string, unit: string): void {
    const { status, stderr } = spawnSync(join(SCRIPTS, 'systemctl'), [verb, unit], {
      env: { ...this.shell.env, HOST_DIR: join(this.dir, host) },
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0) throw new Error(`systemctl ${verb} ${unit} on ${host}: ${stderr}`);
  }
}

function controllerEnv(name: string, port: number, ports: Ports): string {
  return [
    `EBBGATE_CONTROLLER_ID=${name}`,
    `EBBGATE_ZOOKEEPER=127.0.0.1:${ports.zookeeper}`,
    `EBBGATE_REDIS=redis://127.0.0.1:${ports.redis}`,
    `EBBGATE_API_LISTEN=127.0.0.1:${port}`,
    ...['EBBGATE_ALLOWED_NETWORKS=127.0.0.0/8', 'EBBGATE_SETTLE=4s', 'EBBGATE_ZOOKEEPER_SESSION=3s'],
    '',
  ].join('\n');
}

async function launchBalancer(dir: string, port: number, edges: readonly Host[]): Promise<LocalProcess> {
  mkdirSync(dir);
  const upstream = edges.map((edge) => `server 127.0.0.1:${edge.port} max_fails=0; # ${edge.name}\n`);
  writeFileSync(join(dir, 'upstream.conf'), upstream.join(''));
  const file = join(dir, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; pid nginx.pid; error_log error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  upstream edges { include ${join(dir, 'upstream.conf')}; }
  server {
    listen 127.0.0.1:${port};
    # A second try would hide what this is about.
    location / { proxy_pass http://edges; proxy_next_upstream off; }
    location = /balancer { return 200; }
  }
}
`,
  );
  return launch({
    name: 'the load balancer',
    command: 'nginx',
    args: ['-p', dir, '-c', file, '-e', join(dir, 'error.log')],
    logFile: join(dir, 'nginx.log'),
    stopSignal: 'SIGQUIT',
    ready: async () => (await statusOf(`http://127.0.0.1:${port}/balancer`)) === 200,
  });
}
