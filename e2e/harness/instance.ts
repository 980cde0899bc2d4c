import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/**
 * A request as the instance saw it, in milliseconds of the wall clock; `ended` is null while it is open. It is read just
 * before the last bytes are handed to the kernel: after that a busy machine may let everybody else go first.
 */
export interface Arrival {
  readonly at: number;
  readonly url: string;
  ended: number | null;
}

/** A request that stays open until the scenario ends it. */
export interface KeptRequest {
  /** The id of the instance that has it, once one has. */
  instance: string | null;
  readonly ended: Promise<void>;
  end(): void;
}

const keptRequests = new Map<string, KeptRequest>();

/** Keeps the request with `?open=NAME` open, at whatever instance of this process it comes to. */
export function keepOpen(name: string): KeptRequest {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const kept: KeptRequest = {
    ...{ instance: null, ended },
    end: () => {
      keptRequests.delete(name);
      end();
    },
  };
  keptRequests.set(name, kept);
  return kept;
}

/** A small service instance; it counts what it gets. */
export interface Instance extends AsyncDisposable {
  readonly id: string;
  readonly service: string;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  /** Requests that came in since the start, by method; WebSockets count as GET. */
  readonly seen: Map<string, number>;
  /** All of them. */
  readonly requests: () => number;
  /** Each of them, oldest first; WebSockets too. */
  readonly arrivals: readonly Arrival[];
  /** Stops listening and cuts what is open; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Answers `{service, version, instance}`; `?delay=SECONDS` delays the answer, `?open=NAME` keeps it back (`keepOpen`), `?status=N` sets it. `/echo` answers what
 * came: method, url, headers, length of the body. `/bytes?n=N` answers N bytes, `/events` three pieces 100 ms apart,
 * `/accel` tries to steer the gateway, `/cut` reads the request and drops the connection, `/ws` echoes WebSockets.
 */
export async function startInstance(options: {
  readonly service: string;
  readonly version?: string;
  readonly port?: number;
  readonly id?: string;
  /** What it answers where no `?status=N` is asked for; 200 if it is well. */
  readonly status?: number;
  /** What it does with its n-th request, from 0, where the request does not say. */
  readonly behave?: (n: number) => { readonly status?: number; readonly delayMs?: number };
}): Promise<Instance> {
  const seen = new Map<string, number>();
  const server = createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const self = {
    service: options.service,
    version: options.version ?? 'v1',
    instance: options.id ?? `127.0.0.1:${port}`,
  };
  const usual = options.status ?? 200;
  const arrivals: Arrival[] = [];
  const count = (request: IncomingMessage): (() => void) => {
    const method = request.method ?? '';
    seen.set(method, (seen.get(method) ?? 0) + 1);
    const arrival: Arrival = { at: Date.now(), url: request.url ?? '', ended: null };
    arrivals.push(arrival);
    return () => (arrival.ended ??= Date.now());
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const end = count(request);
    response.once('close', end);
    const send = response.end.bind(response);
    response.end = ((...given: Parameters<typeof send>) => {
      end();
      return send(...given);
    }) as typeof response.end;
    const manners = options.behave?.(arrivals.length - 1) ?? {};
    answer(request, response, self, { status: usual, delayMs: 0, ...manners }).catch(() =>
      response.destroy(),
    );
  });
  const sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('connection', (socket, request) => {
    socket.once('close', count(request));
    socket.on('message', (data, binary) => {
      socket.send(data, { binary });
    });
    socket.on('error', () => {
      socket.terminate();
    });
  });
  const stop = stopper(server, sockets);
  return {
    id: self.instance,
    service: self.service,
    version: self.version,
    host: '127.0.0.1',
    port,
    seen,
    arrivals,
    requests: () => [...seen.values()].reduce((sum, one) => sum + one, 0),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  self: { readonly service: string; readonly version: string; readonly instance: string },
  usual: { readonly status: number; readonly delayMs: number },
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://instance');
  if (url.pathname === '/events') {
    response.setHeader('content-type', 'text/event-stream');
    for (const piece of ['one', 'two', 'three']) {
      response.write(`data: ${piece}\n\n`);
      await pause(100);
    }
    response.end();
    return;
  }
  let length = 0;
  for await (const chunk of request) length += (chunk as Buffer).length;
  if (url.pathname === '/cut') {
    request.socket.destroy();
    return;
  }
  const delay = Number(url.searchParams.get('delay') ?? usual.delayMs / 1_000);
  if (delay > 0) await pause(delay * 1_000);
  const kept = keptRequests.get(url.searchParams.get('open') ?? '');
  if (kept !== undefined) {
    kept.instance = self.instance;
    await kept.ended;
  }
  if (url.pathname === '/bytes') {
    response.end(Buffer.alloc(Number(url.searchParams.get('n') ?? 0), 'x'));
    return;
  }
  if (url.pathname === '/accel') response.setHeader('x-accel-redirect', '/elsewhere');
  const echo = {
    method: request.method,
    url: request.url,
    headers: request.headers,
    raw: request.rawHeaders,
  };
  response.statusCode = Number(url.searchParams.get('status') ?? usual.status);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(url.pathname === '/echo' ? { ...self, ...echo, length } : self));
}

function stopper(server: Server, sockets: WebSocketServer): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= (async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    })();
    return stopping;
  };
}
