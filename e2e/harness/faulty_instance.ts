import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** How it answers: `well` 200, `slow` 200 after `SLOW_MS`, `failing` 500, `hanging` not at all, `streaming` 200 without an end. */
export type Mode = 'well' | 'slow' | 'failing' | 'hanging' | 'streaming';
export const SLOW_MS = 150;

/** When something came in, in milliseconds of the wall clock. */
export interface Seen {
  readonly at: number;
  readonly method: string;
}

/** A certificate and its key, as PEM. */
export interface Tls {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A service instance that can be made faulty. Paths below /health are checks, with a mode of their own. */
export class FaultyInstance implements AsyncDisposable {
  readonly version = 'v1';
  readonly host = '127.0.0.1';
  /** Requests and checks since the start or the last `forget`. */
  requests: Seen[] = [];
  checks: Seen[] = [];
  /** TCP connections, whatever came of them. */
  connections = 0;
  mode: Mode = 'well';
  checkMode: Mode = 'well';
  private server: Server | null = null;
  private readonly waiting = new Set<ServerResponse>();

  private constructor(
    readonly service: string,
    public port: number,
    private readonly tls: Tls | null,
  ) {}

  /** With `tls` it speaks HTTPS only. */
  static async start(service: string, tls: Tls | null = null): Promise<FaultyInstance> {
    const instance = new FaultyInstance(service, 0, tls);
    await instance.listen();
    return instance;
  }

  get id(): string {
    return `${this.host}:${this.port}`;
  }

  /** Takes connections again, at the same port. */
  async listen(): Promise<void> {
    if (this.server !== null) return;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.answer(request, response);
    };
    const server = this.tls === null ? createServer(listener) : createSecureServer(this.tls, listener);
    server.on('connection', () => (this.connections += 1));
    server.listen(this.port, this.host);
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  /** Refuses connections and cuts those that are open. */
  async refuse(): Promise<void> {
    const server = this.server;
    if (server === null) return;
    this.server = null;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Takes no connections, and lets open requests end: a stop in good manners. */
  async retire(): Promise<void> {
    const server = this.server!;
    this.server = null;
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    await closed;
  }

  /** Requests that hang now. */
  get open(): number {
    return this.waiting.size;
  }

  /** Answers all that hang. */
  release(): void {
    for (const response of this.waiting) response.end();
  }

  forget(): void {
    this.requests = [];
    this.checks = [];
    this.connections = 0;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const isCheck = request.url?.startsWith('/health') ?? false;
    (isCheck ? this.checks : this.requests).push({ at: Date.now(), method: request.method ?? '' });
    request.resume();
    const mode = isCheck ? this.checkMode : this.mode;
    if (mode === 'streaming') response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n');
    if (mode === 'hanging' || mode === 'streaming') {
      this.waiting.add(response);
      response.once('close', () => this.waiting.delete(response));
      return;
    }
    if (this.server === null) response.setHeader('connection', 'close');
    response.statusCode = mode === 'failing' ? 500 : 200;
    response.setHeader('content-type', 'application/json');
    const body = JSON.stringify({ service: this.service, version: this.version, instance: this.id });
    if (mode === 'slow') setTimeout(() => response.end(body), SLOW_MS);
    else response.end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }
}
