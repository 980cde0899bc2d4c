import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type Response,
  type Router,
} from 'express';
import type { ControlPlane, ForwardTo } from '../model/control_plane.js';
import type { Clock, Log } from '../model/ports.js';
import { PROBLEMS, type Problem } from '../model/problem.js';
import { readBody } from './body.js';
import type { Endpoint, Exchange, Reply } from './endpoint.js';
import { checkAccess, checkMembers, reachOf } from './auth/access.js';
import { Authenticator } from './auth/authenticator.js';
import type { Identity } from './auth/identity.js';
import type { RandomBytes } from './auth/secret.js';
import { actor, clientOf, idempotencyKey, ifMatch, requestId, streamStart } from './exchange.js';
import { endpoints } from './endpoints.js';
import { EventStreams } from './event_stream.js';
import { forward, isForLeader } from './forward.js';
import { problemBody, Refusal } from './refusal.js';
import { AGE_HEADER, STALE_HEADER, staleness } from './staleness.js';

/** What the API is built from. */
export interface AppParts {
  readonly plane: ControlPlane;
  readonly log: Log;
  /** The token of the configuration; null = none. */
  readonly token: string | null;
  /** True: nobody gets in without a token. Default: if `token` is one. Else only loopback is served. */
  readonly tokenRequired?: boolean;
  readonly clock: Clock;
  readonly version: string;
  readonly randomId: () => string;
  readonly randomBytes: RandomBytes;
  /** How many wrong tokens at once may come from one address. */
  readonly failures?: { readonly burst: number };
  readonly metrics: () => Promise<string>;
  /** How a standby reaches the leader; without it a standby refuses what it would send on. */
  readonly forwardTo?: ForwardTo;
  /** Ends every wait. */
  readonly closing: AbortSignal;
}

/** The parts, and what the app makes of its own. */
interface Serving extends AppParts {
  readonly streams: EventStreams;
  readonly authenticator: Authenticator;
}

/** So often an open stream asks whether its token is still valid. */
const LOOK_AGAIN_MS = 1_000;

/** The express application: one router per noun, and the conventions of all of them. */
export function createApp(parts: AppParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  const nouns = endpoints(parts);
  const open = new Set(
    nouns
      .flat()
      .filter((e) => e.access.role === 'open')
      .map((e) => e.path),
  );
  const authenticator = new Authenticator({
    ...{ token: parts.token, tokens: parts.plane.tokens, clock: parts.clock },
    required: parts.tokenRequired ?? parts.token !== null,
    ...parts.failures,
  });
  app.use((request, response, next) => {
    const given = requestId(request);
    const id = typeof given === 'string' ? given : parts.randomId();
    response.locals['requestId'] = id;
    response.set({
      'X-Request-Id': id,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Ebbgate-Role': parts.plane.role(),
    });
    // Whoever asks only whether it lives gets an answer under any id.
    if (given instanceof Refusal && !open.has(request.path)) throw given;
    response.locals['identity'] = authenticator.identify(request, { open: open.has(request.path) });
    next();
  });
  const serving = { ...parts, authenticator, streams: new EventStreams(parts.clock) };
  for (const noun of nouns) app.use(router(noun, serving));
  app.use((request) => {
    throw new Refusal({
      code: 'not_found',
      detail: `there is no path ${request.path}; /openapi.json lists them`,
    });
  });
  app.use(problemWriter(parts.log));
  return app;
}

function router(noun: readonly Endpoint[], parts: Serving): Router {
  const made = express.Router({ caseSensitive: true, strict: true });
  const methods = new Map<string, string[]>();
  for (const one of noun) {
    const path = one.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const handle = async (request: Request, response: Response): Promise<void> => {
      await serve(one, parts, request, response);
    };
    // Before the body is read: who may not do it need not be listened to.
    const gate = (request: Request, response: Response, next: () => void): void => {
      checkAccess(one.access, response.locals['identity'] as Identity, request.params);
      next();
    };
    made[one.method](path, gate, ...(one.body ? readBody(one.large) : []), handle);
    const allowed = one.method === 'get' ? ['GET', 'HEAD'] : [one.method.toUpperCase()];
    methods.set(path, [...(methods.get(path) ?? []), ...allowed]);
  }
  for (const [path, allowed] of methods)
    made.all(path, (request) => {
      throw new Refusal(
        {
          code: 'method_not_allowed',
          detail: `${request.path} takes ${allowed.join(', ')}, not ${request.method}`,
        },
        { Allow: allowed.join(', ') },
      );
    });
  return made;
}

async function serve(one: Endpoint, parts: Serving, request: Request, response: Response): Promise<void> {
  if (one.view && !parts.plane.hasView())
    throw new Refusal({
      code: 'not_ready',
      detail: 'no complete view of the registry exists yet; /readyz says what is missing',
    });
  const identity = response.locals['identity'] as Identity;
  checkMembers(one.access, identity, request.body);
  const { signal, release } = watchEnd(response, parts.closing);
  const id = response.locals['requestId'] as string;
  const exchange: Exchange = {
    requestId: id,
    by: actor(request, identity),
    ...{ identity, reach: reachOf(identity) },
    origin: {
      token: identity.proof === 'none' ? null : identity.name,
      ...{ from: clientOf(request), request_id: id },
    },
    ifMatch: ifMatch(request, one.ifMatch),
    idempotencyKey: idempotencyKey(request, one.method),
    stream: streamStart(request),
    signal,
  };
  try {
    const { plane, forwardTo } = parts;
    const isForwarded = forwardTo !== undefined && isForLeader(plane, one.method);
    const reply = isForwarded
      ? await forward({ plane, forwardTo }, request, exchange)
      : await one.serve(
          { params: { ...request.params }, query: { ...request.query }, body: request.body as unknown },
          exchange,
        );
    if (one.method !== 'get')
      parts.log.info(
        {
          ...{ by: exchange.by, ...exchange.origin, method: request.method, path: request.path },
          ...(exchange.idempotencyKey === null ? {} : { idempotency_key: exchange.idempotencyKey }),
          ...reply.logged,
        },
        // Whether it changed anything, the leader knows and logs.
        isForwarded ? 'forwarded' : 'mutated',
      );
    const stale = one.view ? staleness(parts.plane.readiness()) : null;
    if (stale !== null) response.set(STALE_HEADER, stale);
    const age = one.view && parts.plane.role() === 'standby' ? parts.plane.viewAge() : null;
    if (age !== null) response.set(AGE_HEADER, (age / 1_000).toFixed(3));
    if (reply.stream) {
      // Whoever is revoked sees no more of it.
      using _revoked = parts.clock.every(LOOK_AGAIN_MS, () => {
        if (!parts.authenticator.isValid(identity)) response.destroy();
      });
      await parts.streams.serve(response, signal, reply.stream);
      return;
    }
    send(
      response,
      parts.closing.aborted ? { ...reply, headers: { ...reply.headers, Connection: 'close' } } : reply,
    );
  } finally {
    release();
  }
}

/** A signal that aborts when the client goes away or the API closes. */
function watchEnd(response: Response, closing: AbortSignal): { signal: AbortSignal; release: () => void } {
  const ended = new AbortController();
  const end = (): void => {
    ended.abort();
  };
  response.once('close', end);
  closing.addEventListener('abort', end, { once: true });
  if (closing.aborted) end();
  return {
    signal: ended.signal,
    release: () => {
      response.off('close', end);
      closing.removeEventListener('abort', end);
    },
  };
}

/** Written by hand, because express would turn an equal ETag into a 304, and ours says nothing of live counts. */
function send(response: Response, reply: Reply): void {
  if (response.headersSent || response.destroyed) return;
  const content = reply.text?.content ?? JSON.stringify(reply.body);
  response.status(reply.status ?? 200);
  response.set({
    ...reply.headers,
    'Content-Type': reply.text?.type ?? 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(content)),
  });
  response.end(content);
}

function problemWriter(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const id = response.locals['requestId'] as string;
    const refusal = asRefusal(error);
    const status = PROBLEMS[refusal.problem.code].status;
    const fields = { request_id: id, method: request.method, path: request.path, code: refusal.problem.code };
    if (refusal.problem.code === 'internal') log.error({ ...fields, err: error }, 'request failed');
    else log.debug({ ...fields, field: refusal.problem.field }, 'request refused');
    send(response, {
      status,
      headers: { ...(status === 503 ? { 'Retry-After': '1' } : {}), ...refusal.headers },
      text: {
        type: 'application/problem+json; charset=utf-8',
        content: JSON.stringify(problemBody(refusal.problem, request.path, id)),
      },
    });
  };
}

/** What express and its body reader throw, as our own problems; anything else is our fault. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { type, status, message } = (error instanceof Error ? error : {}) as {
    type?: string;
    status?: number;
    message?: string;
  };
  return new Refusal(thrownProblem(type, status, message));
}

function thrownProblem(type?: string, status?: number, message = ''): Problem {
  if (type === 'entity.too.large')
    return {
      code: 'too_large',
      field: 'body',
      detail: 'a body may have 256 KiB at most, one of /v1/import 64 MiB',
    };
  if (type === 'entity.parse.failed')
    return { code: 'invalid_request', field: 'body', detail: `body is not JSON: ${message}` };
  if (type === 'encoding.unsupported' || type === 'charset.unsupported')
    return { code: 'unsupported_media_type', field: 'body', detail: 'send the body uncompressed, in UTF-8' };
  if (status === 400) return { code: 'invalid_request', detail: `the request cannot be read: ${message}` };
  return { code: 'internal', detail: 'the log has more under this request id' };
}
