import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';

/** What came back: `status` 0 is a request without an answer, `error` says why. */
export interface Outcome {
  readonly status: number;
  /** The instance that answered, or empty. */
  readonly instance: string;
  readonly version: string;
  readonly error: string;
}

/** What a client reads when the connection was closed under its request. */
const CLOSED = ['other side closed', 'read ECONNRESET', 'write EPIPE'];

/** A running stream of requests, and its counts. */
export interface Traffic extends AsyncDisposable {
  readonly statuses: ReadonlyMap<number, number>;
  readonly instances: ReadonlyMap<string, number>;
  readonly versions: ReadonlyMap<string, number>;
  /** What was neither 2xx nor 3xx, at most the first 100. */
  readonly failed: readonly Outcome[];
  total(): number;
  /** Sends no more, waits for the answers; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Sends `method path` to `url` at `rate` requests per second, at most `concurrency` at once (a gateway that is slow
 * makes it slower, never a crowd), until stopped or until `count` were sent.
 */
export function startTraffic(options: {
  readonly url: string;
  readonly path?: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly host?: string;
  readonly rate?: number;
  readonly concurrency?: number;
  readonly count?: number;
  /** Sends a GET once more whose connection was closed without an answer, as a client must (RFC 9112, 9.3.1): a reload closes idle ones. */
  readonly resends?: boolean;
}): Traffic & { readonly done: Promise<void> } {
  const {
    path = '/',
    method = 'GET',
    rate = 200,
    concurrency = 16,
    count = Infinity,
    resends = false,
  } = options;
  const pool = new Pool(options.url, { connections: concurrency, pipelining: 1 });
  const counts = new Counts();
  let stopped = false;
  let sent = 0;
  const started = performance.now();
  const worker = async (): Promise<void> => {
    while (!stopped && sent < count) {
      const due = started + (sent++ / rate) * 1_000;
      const early = due - performance.now();
      if (early > 1) await pause(early);
      const request = { path, method, host: options.host };
      const outcome = await send(pool, request);
      const isClosed = method === 'GET' && CLOSED.includes(outcome.error);
      counts.add(resends && isClosed ? await send(pool, request) : outcome);
    }
  };
  const done = Promise.all(Array.from({ length: concurrency }, worker)).then(() => pool.close());
  const stop = (): Promise<void> => {
    stopped = true;
    return done;
  };
  return {
    statuses: counts.statuses,
    instances: counts.instances,
    versions: counts.versions,
    failed: counts.failed,
    total: () => counts.total,
    done,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Sends `count` requests as fast as `concurrency` allows and resolves with the counts. */
export async function sendMany(
  options: Omit<Parameters<typeof startTraffic>[0], 'rate'> & { readonly count: number },
): Promise<Traffic> {
  const traffic = startTraffic({ ...options, rate: Infinity });
  await traffic.done;
  return traffic;
}

async function send(
  pool: Pool,
  request: { readonly path: string; readonly method: 'GET' | 'POST' | 'PUT'; readonly host?: string },
): Promise<Outcome> {
  try {
    const response = await pool.request({
      path: request.path,
      method: request.method,
      headers: request.host === undefined ? {} : { host: request.host },
      body: request.method === 'GET' ? null : 'x',
    });
    const text = await response.body.text();
    const body =
      response.statusCode < 300 && text.startsWith('{') ? (JSON.parse(text) as Partial<Outcome>) : {};
    return {
      status: response.statusCode,
      instance: body.instance ?? '',
      version: body.version ?? '',
      error: response.statusCode < 400 ? '' : text.slice(0, 200),
    };
  } catch (error) {
    return {
      status: 0,
      instance: '',
      version: '',
      error: error instanceof Error ? error.message : String(error),
    };
  }
}

class Counts {
  readonly statuses = new Map<number, number>();
  readonly instances = new Map<string, number>();
  readonly versions = new Map<string, number>();
  readonly failed: Outcome[] = [];
  total = 0;

  add(outcome: Outcome): void {
    this.total += 1;
    bump(this.statuses, outcome.status);
    if (outcome.instance !== '') bump(this.instances, outcome.instance);
    if (outcome.version !== '') bump(this.versions, outcome.version);
    const failed = outcome.status < 200 || outcome.status >= 400;
    if (failed && this.failed.length < 100) this.failed.push(outcome);
  }
}

function bump<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
