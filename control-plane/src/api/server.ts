import { setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { ControlPlane, ForwardTo } from '../model/control_plane.js';
import type { Clock, Lifecycle, Log } from '../model/ports.js';
import { createApp } from './app.js';
import { isLoopback } from './auth/loopback.js';

export interface ApiOptions {
  readonly plane: ControlPlane;
  readonly log: Log;
  /** Null = none: then only a loopback address may be listened on. */
  readonly token: string | null;
  /** `port` 0 = any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly version: string;
  readonly randomId: () => string;
  readonly randomBytes: (bytes: number) => Uint8Array;
  /** The controller's metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly forwardTo?: ForwardTo;
}

export interface Api extends Lifecycle {
  /** Where it really listens; throws before `start` has resolved. */
  address(): { readonly host: string; readonly port: number };
}

/** Running answers get this long to end at close; then their connections are cut. */
const CLOSE_GRACE_MS = 1_000;

/**
 * The control API. Throws at once if it would be open to the network without a token. `start` resolves when it
 * listens and rejects, naming the address, when it cannot. `close` ends waits, answers what runs, and is done within 2 s.
 */
export function createApi(options: ApiOptions): Api {
  checkOptions(options);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each request that waits
  const server = createServer(createApp({ ...options, closing: closing.signal }));
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000; // to receive a request; waits begin after that
  server.keepAliveTimeout = 15_000;
  server.maxRequestsPerSocket = 10_000;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= shut(server, closing, options.clock));
  return {
    start: () => listen(server, options),
    close,
    address: () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('the API does not listen');
      return { host: address.address, port: address.port };
    },
    [Symbol.asyncDispose]: close,
  };
}

function checkOptions({ token, listen: { host } }: ApiOptions): void {
  if (token !== null && !/^[\x21-\x7e]+$/.test(token))
    throw new Error('EBBGATE_TOKEN must be visible ASCII characters without spaces, at least one');
  if (token === null && !isLoopback(host))
    throw new Error(
      `the API refuses to listen on ${host} without a token: set EBBGATE_TOKEN, or listen on a loopback address`,
    );
}

async function listen(server: Server, { listen: { host, port }, log }: ApiOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`the API's port ${String(port)} on ${host} is taken; choose another one`)
          : new Error(`the API cannot listen on ${host}:${String(port)}: ${error.message}`),
      );
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      server.on('error', (error) => {
        log.error({ err: error }, 'API server failed');
      });
      resolve();
    });
  });
}

async function shut(server: Server, closing: AbortController, clock: Clock): Promise<void> {
  closing.abort();
  if (!server.listening) return;
  const ended = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  server.closeIdleConnections();
  using _forced = clock.after(CLOSE_GRACE_MS, () => {
    server.closeAllConnections();
  });
  await ended;
}
