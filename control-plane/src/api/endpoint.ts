import type * as z from 'zod';
import type { Origin } from '../model/origin.js';
import type { ProblemCode } from '../model/problem.js';
import type { Access, Reach } from './auth/access.js';
import type { Identity } from './auth/identity.js';
import type { Streaming } from './event_stream.js';
import { validate } from './validate.js';

/** What every request brings besides its path, query and body. */
export interface Exchange {
  readonly requestId: string;
  /** Who asks: a name the client gave, else how it came in. */
  readonly by: string;
  readonly identity: Identity;
  /** What of the services the caller may see and touch. */
  readonly reach: Reach;
  /** By which token, and from where. */
  readonly origin: Origin;
  /** Without quotes; `*` = whatever it is; null = not given. */
  readonly ifMatch: string | null;
  readonly idempotencyKey: string | null;
  /** What the client wants streamed: everything after the event that it had last; null = it wants no stream. */
  readonly stream: { readonly after: number } | null;
  /** Aborts when the client goes away or the API closes. */
  readonly signal: AbortSignal;
}

/** A JSON answer, or with `text` a plain one. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly text?: { readonly type: string; readonly content: string };
  /** Server-sent events instead of a body. */
  readonly stream?: Streaming;
  /** What the log says of it, besides who asked and how. */
  readonly logged?: object;
}

/** What an answer looks like in the OpenAPI document. */
export interface Answer {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `application/json`. */
  readonly type?: string;
  /** What the same answer looks like as server-sent events, to `Accept: text/event-stream`. */
  readonly stream?: string;
}

export type Method = 'delete' | 'get' | 'patch' | 'post';

/** What the router and the OpenAPI document need to know of a route. */
export interface Endpoint {
  readonly method: Method;
  /** With `{names}`, as in OpenAPI. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly params: z.ZodType | null;
  readonly query: z.ZodType;
  readonly body: z.ZodType | null;
  readonly ifMatch: 'required' | 'optional' | null;
  /** True if its body may be as large as an export. */
  readonly large: boolean;
  /** Whom it is for. */
  readonly access: Access;
  /** True if it shows the registry: refused with `not_ready` until a first complete view exists. */
  readonly view: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
  /** The codes it may answer besides those that every route may. */
  readonly codes: readonly ProblemCode[];
  readonly serve: (raw: RawInput, exchange: Exchange) => Promise<Reply>;
}

export interface RawInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

interface Spec<P extends z.ZodType | null, Q extends z.ZodType, B extends z.ZodType | null> {
  readonly method: Method;
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly ifMatch?: 'required' | 'optional';
  readonly large?: boolean;
  readonly access: Access;
  readonly view?: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
  readonly codes?: readonly ProblemCode[];
  readonly handle: (
    input: { readonly params: Parsed<P>; readonly query: Parsed<Q>; readonly body: Parsed<B> },
    exchange: Exchange,
  ) => Reply | Promise<Reply>;
}

/** One route: its schemas validate the request and describe it. The handler sees only what passed. */
export function endpoint<P extends z.ZodType | null, Q extends z.ZodType, B extends z.ZodType | null>(
  spec: Spec<P, Q, B>,
): Endpoint {
  return {
    ...spec,
    ifMatch: spec.ifMatch ?? null,
    large: spec.large ?? false,
    view: spec.view ?? false,
    codes: spec.codes ?? [],
    serve: async (raw, exchange) =>
      spec.handle(
        {
          params: parsed(spec.params, 'path', raw.params),
          query: parsed<Q>(spec.query, 'query', raw.query),
          body: parsed(spec.body, 'body', raw.body),
        },
        exchange,
      ),
  };
}

function parsed<S extends z.ZodType | null>(
  schema: S,
  place: 'path' | 'query' | 'body',
  input: unknown,
): Parsed<S> {
  return (schema === null ? undefined : validate(schema, place, input)) as Parsed<S>;
}
