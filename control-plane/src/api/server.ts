import { setMaxListeners } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { ControlPlane, ForwardTo } from '../model/control_plane.js';
import type { Clock, Lifecycle, Log } from '../model/ports.js';
import { createApp } from './app.js';
import { isLoopback } from './auth/loopback.js';
import type { ApiCertificate } from './tls/certificate.js';
import { createSecureServer, type SecureServer } from './tls/secure_server.js';

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
  /** Absent or null = plain HTTP. */
  readonly certificate?: ApiCertificate | null;
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
  const { certificate = null, clock } = options;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each request that waits
  const listener = createListener(options, createApp({ ...options, closing: closing.signal }));
  const { server } = listener;
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000; // to receive a request; waits begin after that
  server.keepAliveTimeout = 15_000;
  server.maxRequestsPerSocket = 10_000;
  let watching: Disposable | undefined;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    watching?.[Symbol.dispose]();
    return (closed ??= shut(listener, closing, clock));
  };
  return {
    start: async () => {
      await listen(server, options);
      watching = certificate?.watch(listener.renew);
    },
    close,
    address: () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('the API does not listen');
      return { host: address.address, port: address.port };
    },
    [Symbol.asyncDispose]: close,
  };
}

/** What listens: plain, or by TLS. */
type Listener = Omit<SecureServer, 'server'> & { readonly server: Server | SecureServer['server'] };

function createListener({ certificate = null, log }: ApiOptions, answer: RequestListener): Listener {
  if (certificate !== null) return createSecureServer(certificate.present, answer, log);
  const server = createServer(answer);
  const cut = (): void => {
    server.closeAllConnections();
  };
  return { server, cut, renew: () => undefined };
}

function checkOptions({ token, listen: { host } }: ApiOptions): void {
  if (token !== null && !/^[\x21-\x7e]+$/.test(token))
    throw new Error('EBBGATE_TOKEN must be visible ASCII characters without spaces, at least one');
  if (token === null && !isLoopback(host))
    throw new Error(
      `the API refuses to listen on ${host} without a token: set EBBGATE_TOKEN, or listen on a loopback address`,
    );
}

async function listen(
  server: Listener['server'],
  { listen: { host, port }, log }: ApiOptions,
): Promise<void> {
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

async function shut({ server, cut }: Listener, closing: AbortController, clock: Clock): Promise<void> {
  closing.abort();
  if (!server.listening) return;
  const ended = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  server.closeIdleConnections();
  using _forced = clock.after(CLOSE_GRACE_MS, cut);
  await ended;
}
