import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import { DEMO_READY_PATH } from './demo_names.js';

export interface DemoInstanceOptions {
  readonly service: string;
  readonly version: string;
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  /** Answers 500 to everything but the question whether it is ready. */
  readonly bad?: boolean;
}

/** A running demo instance. `close` lets open requests end and may be called twice. */
export interface DemoInstance {
  readonly port: number;
  close(): Promise<void>;
}

/** The longest answer that can be asked for, in seconds. */
const LONGEST_DELAY = 3_600;

/** How long a WebSocket client may take to say goodbye. */
const CLOSE_HANDSHAKE_MS = 1_000;

/**
 * A tiny HTTP service to try Ebbgate with. Every path answers JSON `{service, version, instance}`; `?delay=SECONDS`
 * delays the answer, `?status=N` sets its status, `/ws` echoes WebSocket messages.
 */
export async function startDemoInstance(options: DemoInstanceOptions): Promise<DemoInstance> {
  let closing: Promise<void> | undefined;
  const { service, version, instance } = options;
  const answer = (response: ServerResponse, status: number, body: object): void => {
    if (closing !== undefined) response.setHeader('connection', 'close');
    response.writeHead(status, { 'content-type': 'application/json' });
    // These three forbid or ignore a body.
    response.end(status === 204 || status === 304 ? undefined : `${JSON.stringify(body)}\n`);
  };
  const server = createServer((request, response) => {
    request.resume(); // a body is read to its end, so that the connection can be used again
    const asked = readQuery(request);
    if ('error' in asked) {
      answer(response, 400, { error: asked.error });
      return;
    }
    const fails = options.bad === true && request.url !== DEMO_READY_PATH;
    const timer = setTimeout(() => {
      answer(response, fails ? 500 : asked.status, { service, version, instance });
    }, asked.delayMs);
    response.once('close', () => {
      clearTimeout(timer);
    });
  });
  const sockets = echoSockets(server);
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : options.port,
    close() {
      closing ??= (async () => {
        const closed = once(server, 'close');
        server.close();
        for (const client of sockets.clients) client.close(1001, 'the instance stops');
        const silent = setTimeout(() => {
          for (const client of sockets.clients) client.terminate();
        }, CLOSE_HANDSHAKE_MS);
        await closed;
        clearTimeout(silent);
      })();
      return closing;
    },
  };
}

/** Echoes on /ws, text as text and binary as binary. */
function echoSockets(server: ReturnType<typeof createServer>): WebSocketServer {
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {
      socket.terminate();
    });
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
  });
  server.on('upgrade', (request, socket, head) => {
    if (new URL(request.url ?? '/', 'http://demo').pathname !== '/ws') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
  });
  return sockets;
}

function readQuery(
  request: IncomingMessage,
): { readonly delayMs: number; readonly status: number } | { readonly error: string } {
  const query = new URL(request.url ?? '/', 'http://demo').searchParams;
  const delay = query.get('delay') ?? '0';
  const status = query.get('status') ?? '200';
  if (!/^\d{1,4}(\.\d{1,3})?$/.test(delay) || Number(delay) > LONGEST_DELAY)
    return { error: `delay must be seconds from 0 to ${String(LONGEST_DELAY)}, like ?delay=1.5` };
  if (!/^[2-5]\d\d$/.test(status)) return { error: 'status must be from 200 to 599, like ?status=503' };
  return { delayMs: Number(delay) * 1_000, status: Number(status) };
}
