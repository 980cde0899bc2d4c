import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { request } from 'undici';
import {
  reservePlan,
  reservePort,
  type GatewayResource,
  type InstanceResource,
  type MutationResource,
  type OperationResource,
  type ServiceResource,
} from '../../control-plane/src/testkit.js';
import { until } from './until.js';

/*
 * A whole Ebbgate for a scenario, started by the command a user types: `ebbgate up --detach`. Instances are started
 * by `ebbgate register … -- ebbgate demo instance …`, so every scenario goes the product's own way from end to end.
 */

const ROOT = join(import.meta.dirname, '../..');
const EBBGATE = [process.execPath, join(ROOT, 'scripts/ebbgate.mjs')] as const;

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiAnswer<T = unknown> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: T;
}

/** An instance of the demo service under its registrar. */
export interface Registered {
  readonly id: string;
  readonly port: number;
  /** The registrar. */
  readonly process: ChildProcess;
  /** SIGTERM to the registrar; resolves with its exit code. */
  leave(): Promise<number | null>;
  /** SIGKILL to registrar and instance at once: nothing is said to anybody. */
  vanish(): Promise<void>;
}

export interface Stack extends AsyncDisposable {
  readonly dir: string;
  readonly gateways: readonly string[];
  readonly admin: readonly string[];
  readonly api: string;
  readonly zookeeper: string;
  readonly redis: Redis;
  call<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<ApiAnswer<T>>;
  cli(...args: readonly string[]): Promise<Run>;
  register(options?: {
    readonly service?: string;
    readonly version?: string;
    readonly id?: string;
    readonly port?: number;
    readonly weight?: number;
    readonly host?: string;
    readonly zone?: string;
    readonly backup?: boolean;
  }): Promise<Registered>;
  service(name: string): Promise<ServiceResource>;
  instance(service: string, id: string): Promise<InstanceResource>;
  operation(id: string): Promise<OperationResource>;
  /** Waits until every gateway obeys the present set of `service`. */
  converged(service: string): Promise<void>;
  /** Gives `service` a route for every host and path, and waits until it is served. */
  route(service: string, path?: string): Promise<void>;
  /** Pids of masters and workers of all gateways: the same before and after = nothing was reloaded. */
  nginxPids(): Promise<string>;
  fleet(): Promise<readonly GatewayResource[]>;
}

/** Runs the CLI to its end. */
export function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return startCli(args, env).ended;
}

/** Starts the CLI; `stdout` is what it has printed so far. */
export function startCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { readonly stdout: () => string; readonly ended: Promise<Run> } {
  const [program, ...first] = EBBGATE;
  const child = spawn(program, [...first, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = (once(child, 'close') as Promise<[number | null]>).then(([code]) => ({
    code,
    stdout,
    stderr,
  }));
  return { stdout: () => stdout, ended };
}

/** Starts ZooKeeper, Redis, gateways and the controller; no instance unless `instances` says so. */
export async function startStack(
  options: { readonly gateways?: number; readonly instances?: number } = {},
): Promise<Stack> {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-e2e-'));
  const { gateways = 2, instances = 0 } = options;
  const demo = instances === 0 ? ['--no-demo'] : ['--instances', String(instances)];
  for (let attempt = 1; ; attempt += 1) {
    const { base } = await reservePlan(gateways, instances);
    const place = ['--dir', dir, '--base-port', String(base), '--gateways', String(gateways)];
    const started = await runCli(['up', '--detach', ...place, ...demo]);
    if (started.code === 0) break;
    // Only somebody who reserves nothing can have taken a port meanwhile.
    if (attempt === 5 || !/taken/.test(started.stderr + started.stdout))
      throw new Error(`ebbgate up failed (${String(started.code)}):\n${started.stdout}${started.stderr}`);
  }
  const endpoints = JSON.parse(readFileSync(join(dir, 'endpoints.json'), 'utf8')) as {
    readonly gateways: readonly string[];
    readonly gateway_admin: readonly string[];
    readonly api: string;
    readonly zookeeper: string;
    readonly redis: string;
  };
  return new LocalStack(dir, endpoints);
}

class LocalStack implements Stack {
  readonly gateways: readonly string[];
  readonly admin: readonly string[];
  readonly api: string;
  readonly zookeeper: string;
  readonly redis: Redis;
  readonly #registered = new Set<Registered>();
  readonly #env: NodeJS.ProcessEnv;

  constructor(
    readonly dir: string,
    endpoints: {
      readonly gateways: readonly string[];
      readonly gateway_admin: readonly string[];
      readonly api: string;
      readonly zookeeper: string;
      readonly redis: string;
    },
  ) {
    this.gateways = endpoints.gateways;
    this.admin = endpoints.gateway_admin;
    this.api = endpoints.api;
    this.zookeeper = endpoints.zookeeper;
    const [host = '', port = ''] = endpoints.redis.split(':');
    this.redis = new Redis<'legacy'>({ host, port: Number(port), lazyConnect: true });
    this.#env = { EBBGATE_API: this.api, EBBGATE_ZOOKEEPER: this.zookeeper, EBBGATE_ACTOR: 'e2e' };
  }

  cli(...args: readonly string[]): Promise<Run> {
    return runCli(args, this.#env);
  }

  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer<T>> {
    const answer = await request(`${this.api}${path}`, {
      method: method as 'GET',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: 90_000,
      bodyTimeout: 90_000,
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: (text === '' ? null : JSON.parse(text)) as T,
    };
  }

  async #get<T>(path: string): Promise<T> {
    const answer = await this.call<T>('GET', path);
    if (answer.status !== 200)
      throw new Error(`GET ${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
  service(name: string): Promise<ServiceResource> {
    return this.#get(`/v1/services/${name}`);
  }
  instance(service: string, id: string): Promise<InstanceResource> {
    return this.#get(`/v1/services/${service}/instances/${encodeURIComponent(id)}`);
  }
  operation(id: string): Promise<OperationResource> {
    return this.#get(`/v1/operations/${id}`);
  }
  async fleet(): Promise<readonly GatewayResource[]> {
    return (await this.#get<{ readonly items: readonly GatewayResource[] }>('/v1/gateways')).items;
  }
  async converged(service: string): Promise<void> {
    await until(
      `every gateway obeys the set of ${service}`,
      async () => (await this.service(service)).convergence?.converged,
    );
  }

  async route(service: string, path = '/'): Promise<void> {
    const patched = await this.call<MutationResource>(
      'PATCH',
      `/v1/services/${service}`,
      { routes: [{ host: '*', path }] },
      { 'if-match': '*' },
    );
    if (patched.status !== 200) throw new Error(`route: ${JSON.stringify(patched.body)}`);
    for (const gateway of this.gateways)
      await until(`${gateway} serves ${path}`, async () => {
        const answer = await request(`${gateway}${path}`);
        await answer.body.dump();
        return answer.statusCode === 200;
      });
  }

  async register(
    options: {
      readonly service?: string;
      readonly version?: string;
      readonly id?: string;
      readonly port?: number;
      readonly weight?: number;
      readonly host?: string;
      readonly zone?: string;
      readonly backup?: boolean;
    } = {},
  ): Promise<Registered> {
    const { service = 'shop', version = 'v1', port = await reservePort(), host = '127.0.0.1' } = options;
    const id = options.id ?? `${host}:${String(port)}`;
    const place = ['--service', service, '--version', version, '--host', host, '--port', String(port)];
    const named = options.id === undefined ? [] : ['--id', options.id];
    const weighted = options.weight === undefined ? [] : ['--weight', String(options.weight)];
    const zoned = options.zone === undefined ? [] : ['--zone', options.zone];
    const role = options.backup === true ? ['--backup'] : [];
    const [program, ...first] = EBBGATE;
    const log = openSync(join(this.dir, `${service}-${String(port)}.log`), 'a');
    const child = spawn(
      program,
      [
        ...[
          ...first,
          'register',
          ...place,
          ...named,
          ...weighted,
          ...zoned,
          ...role,
          '--session',
          '4s',
          '--ready-http',
          '/',
        ],
        ...['--', program, ...first, 'demo', 'instance', ...place, '--instance', id, '--with-parent'],
      ],
      { env: { ...process.env, ...this.#env }, stdio: ['ignore', log, log], detached: true },
    );
    const exited = once(child, 'exit') as Promise<[number | null]>;
    const registered: Registered = {
      id,
      port,
      process: child,
      leave: async () => {
        child.kill('SIGTERM');
        const [code] = await exited;
        this.#registered.delete(registered);
        return code;
      },
      vanish: async () => {
        const instances = childrenOf(child.pid ?? 0);
        for (const pid of [child.pid ?? 0, ...instances]) process.kill(pid, 'SIGKILL');
        await exited;
        this.#registered.delete(registered);
      },
    };
    this.#registered.add(registered);
    await until(
      `${id} is registered and its set is in force`,
      async () => {
        if (child.exitCode !== null)
          throw new Error(`the registrar of ${id} has ended with ${String(child.exitCode)}`);
        const found = await this.instance(service, id);
        if (!found.registered || !found.ready || found.version !== version || found.port !== port)
          return false;
        return (await this.service(service)).convergence?.converged;
      },
      { timeoutMs: 30_000 },
    );
    return registered;
  }

  async nginxPids(): Promise<string> {
    const state = JSON.parse(readFileSync(join(this.dir, 'state.json'), 'utf8')) as {
      readonly processes: readonly { readonly name: string; readonly pid: number }[];
    };
    const masters = state.processes.filter((one) => one.name.startsWith('gateway-')).map((one) => one.pid);
    return Promise.resolve(masters.map((pid) => [pid, ...childrenOf(pid)].join(',')).join(' '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    await Promise.all([...this.#registered].map((one) => one.vanish()));
    const down = await runCli(['down', '--dir', this.dir]);
    if (down.code !== 0) throw new Error(`ebbgate down failed: ${down.stdout}${down.stderr}`);
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Pids of the direct children of a process. */
export function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').trim();
    return text === ''
      ? []
      : text
          .split(' ')
          .map(Number)
          .sort((a, b) => a - b);
  } catch {
    return []; // it has ended
  }
}
