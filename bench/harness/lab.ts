import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';
import {
  ask,
  reservePort,
  type GivenOptions,
  launch,
  launchGateway,
  type LocalGateway,
  type LocalProcess,
  type Peer,
  type Position,
  type ServiceSet,
} from '../../control-plane/src/testkit.js';
import { gatewayConf, gatewayPlace, type GatewayPlace } from '../../e2e/harness/gateway.js';
import { peer, Publishing, reached } from '../../e2e/harness/publish.js';
import { untilValue } from '../../e2e/harness/until.js';
import { hostOf, Workbench } from '../../e2e/harness/workbench.js';
import { haproxyConf } from './haproxy.js';
import { bareConf } from './bare.js';
import { staticConf } from './static_nginx.js';

/** A proxy under measurement. */
export interface Subject {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** Ebbgate's admin listener; empty for others. */
  readonly adminUrl: string;
  /** The processes that proxy. */
  readonly pids: readonly number[];
}

/** Debian keeps it where not everybody's PATH looks. */
const HAPROXY = '/usr/sbin/haproxy';

/** What the instances answer: small, so that the proxy's own cost shows. */
const ANSWER = '{"service":"bench","version":"v1","instance":"127.0.0.1:$server_port"}';

/** Every proxy of a comparison, in front of the same three instances (one nginx, one worker, three ports). */
export class Lab implements AsyncDisposable {
  readonly service = 'bench';
  readonly host = hostOf('bench');
  /** What requests say behind `Host:`, with the lines that follow it. */
  readonly head: string;
  private readonly running: LocalProcess[] = [];
  private readonly gateways: string[] = [];
  private databases = 0;

  private constructor(
    readonly workbench: Workbench,
    readonly ports: readonly number[],
    headers: readonly string[],
  ) {
    this.head = [this.host, ...headers].join('\r\n');
  }

  /** `headers`: lines that every request has. */
  static async open(headers: readonly string[] = []): Promise<Lab> {
    const ports = [await reservePort(), await reservePort(), await reservePort()];
    const lab = new Lab(await Workbench.prepare(), ports, headers);
    await lab.startInstances();
    return lab;
  }

  /** The product, one worker, on the set of the three instances. Resolves once it serves it. */
  async ebbgate(
    name: string,
    options: GivenOptions = {},
    edit = (conf: string, _place: GatewayPlace) => conf,
  ): Promise<Subject> {
    const place = await this.place();
    this.gateways.push(place.id);
    const gateway = await this.nginx(place, edit(gatewayConf(place, { workers: 1, ...options }), place));
    await this.workbench.publish(this.service, this.peers());
    return this.subject(name, place.port, gateway.workers(), gateway.adminUrl);
  }

  /** The product with a set of its own: `more` replaces sections of it. `beside`: other documents, by name. */
  async ebbgateWith(
    name: string,
    more: Partial<ServiceSet>,
    options: GivenOptions = {},
    beside: ReadonlyMap<string, string> = new Map(),
  ): Promise<Subject> {
    const place = await this.place();
    this.databases += 1; // where only this gateway looks
    const conf = gatewayConf(place, { workers: 1, ...options, redis_database: this.databases });
    await using publishing = new Publishing(this.workbench.redisPort, undefined, this.databases);
    for (const [document, payload] of beside) await publishing.write(document, { payload });
    await publishing.set(this.service, this.peers(), more);
    await publishing.routes([{ host: this.host, path: '/', service: this.service }]);
    const gateway = await this.nginx(place, conf);
    return await this.subject(name, place.port, gateway.workers(), gateway.adminUrl);
  }

  /** The same nginx with the same conf, without Lua. */
  async staticNginx(name: string, options: GivenOptions = {}): Promise<Subject> {
    const place = await this.place();
    const conf = staticConf(gatewayConf(place, { workers: 1, ...options }), this.addresses());
    const gateway = await this.nginx(place, conf);
    return this.subject(name, place.port, gateway.workers());
  }

  /** The same nginx with the same conf, whose Lua does nothing but pass requests on. */
  async bare(name: string, options: GivenOptions = {}): Promise<Subject> {
    const place = await this.place();
    const conf = bareConf(gatewayConf(place, { workers: 1, ...options }), this.ports);
    const gateway = await this.nginx(place, conf);
    return this.subject(name, place.port, gateway.workers());
  }

  async haproxy(name: string): Promise<Subject> {
    const port = await reservePort();
    const dir = join(this.workbench.dir, 'haproxy');
    mkdirSync(dir);
    writeFileSync(join(dir, 'haproxy.cfg'), haproxyConf(port, this.addresses()));
    const haproxy = await launch({
      name,
      command: HAPROXY,
      args: ['-f', join(dir, 'haproxy.cfg'), '-db'],
      logFile: join(dir, 'haproxy.log'),
      ready: () => this.answers(port),
    });
    this.running.push(haproxy);
    return this.subject(name, port, [haproxy.pid]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.running.reverse()) await one.stop();
    await this.workbench[Symbol.asyncDispose]();
    rmSync(this.workbench.dir, { recursive: true, force: true });
  }

  private peers(): readonly Peer[] {
    return this.ports.map((port) =>
      peer({ id: `127.0.0.1:${port}`, host: '127.0.0.1', port, version: 'v1' }),
    );
  }

  addresses(): readonly string[] {
    return this.ports.map((port) => `127.0.0.1:${port}`);
  }

  /** Gives each of `services` (and no other) a route, and as many requests through `gateway` as each has instances. */
  async serve(gateway: Subject, services: readonly string[], instances: number): Promise<void> {
    const routes = services.map((service) => ({ host: hostOf(service), path: '/', service }));
    await this.acked(await this.workbench.publishing.routes(routes));
    for (let turn = 0; turn < instances; turn += 1) await askEach(gateway, services);
    await pause(1_500); // what the requests made new is listed about every second
  }

  /** Waits until every Ebbgate of this lab has acked `position`. */
  async acked(position: Position): Promise<void> {
    const { publishing } = this.workbench;
    for (const id of this.gateways)
      await untilValue(
        `the ack of ${id}`,
        () => publishing.heartbeat(id),
        (beat) => reached(beat?.applied, position),
      );
  }

  private place(): Promise<GatewayPlace> {
    const { dir, redisPort } = this.workbench;
    return gatewayPlace(`nginx-${this.running.length}`, dir, redisPort);
  }

  private async nginx(place: GatewayPlace, conf: string): Promise<LocalGateway> {
    mkdirSync(join(place.dir, 'state'), { recursive: true });
    const nginx = process.env.EBBGATE_NGINX;
    const gateway = await launchGateway({ ...place, conf, ...(nginx ? { nginx } : {}) });
    this.running.push(gateway);
    return gateway;
  }

  private async subject(
    name: string,
    port: number,
    pids: readonly number[],
    adminUrl = '',
  ): Promise<Subject> {
    const deadline = performance.now() + 10_000;
    while (!(await this.answers(port)))
      if (performance.now() > deadline) throw new Error(`${name} does not serve`);
    return { name, port, url: `http://127.0.0.1:${port}/`, adminUrl, pids };
  }

  private answers(port: number): Promise<boolean> {
    return ask(port, `GET / HTTP/1.1\r\nHost: ${this.head}\r\nConnection: close\r\n\r\n`, ' 200 ');
  }

  private async startInstances(): Promise<void> {
    const dir = join(this.workbench.dir, 'instances');
    mkdirSync(dir);
    const file = join(dir, 'nginx.conf');
    const listens = this.ports.map((port) => `listen 127.0.0.1:${port};`).join(' ');
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
       events { worker_connections 4096; }
       http {
         access_log off; keepalive_requests 1000000; client_body_temp_path ${dir}/body;
         server { ${listens} default_type application/json; location / { return 200 '${ANSWER}'; } }
       }`,
    );
    const instances = await launch({
      name: 'instances',
      command: process.env.EBBGATE_NGINX ?? 'nginx',
      args: ['-p', dir, '-c', file],
      logFile: join(dir, 'nginx.log'),
      stopSignal: 'SIGQUIT',
      ready: () => this.answers(this.ports[0] ?? 0),
    });
    this.running.push(instances);
  }
}

/** One request to each of `services`; throws at any answer but 200. */
export async function askEach({ url }: Subject, services: readonly string[]): Promise<void> {
  const pool = new Pool(url, { connections: 4, pipelining: 1 });
  const ask = async (service: string): Promise<void> => {
    const headers = { host: hostOf(service) };
    const { statusCode, body } = await pool.request({ method: 'GET', path: '/', headers });
    await body.dump();
    if (statusCode !== 200) throw new Error(`${service}: ${statusCode}`);
  };
  await Promise.all(services.map(ask));
  await pool.close();
}
