import { NETWORK } from './network.js';
import { METHOD } from './method.js';
import type { FormRule, Members, TextRule } from './shape.js';

/*
 * What a route does with the requests that it takes, beside sending them to its service. The gateway's own reader is
 * lua/ebbgate/core/route_rules.lua, and lua/ebbgate/phase/http/act.lua carries it out.
 */

export interface HeaderValue {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

/** Changes of a head: first `remove`, then `set`, then `add`. */
export interface HeaderChanges {
  readonly set?: readonly HeaderValue[];
  readonly add?: readonly HeaderValue[];
  readonly remove?: readonly string[];
}

export interface Redirect {
  readonly scheme?: 'http' | 'https';
  readonly host?: string;
  /** In place of the whole path. */
  readonly path?: string;
  /** In place of the route's own path; what is below it stays. */
  readonly prefix?: string;
  readonly status?: number;
}

export interface Maintenance {
  readonly status?: number;
  readonly body?: string;
  readonly content_type?: string;
  readonly retry_after_s?: number;
}

export interface Cors {
  /** Like `https://shop.example.com`, or `*`. */
  readonly origins: readonly string[];
  readonly methods?: readonly string[];
  readonly headers?: readonly string[];
  readonly expose?: readonly string[];
  readonly credentials?: boolean;
  readonly max_age_s?: number;
}

/** What of a service's time-outs is another one here, in milliseconds. */
export interface RouteTimeouts {
  readonly connect_ms?: number;
  readonly send_ms?: number;
  readonly read_ms?: number;
  readonly try_ms?: number;
  readonly total_ms?: number;
}

/** In the order in which they are asked, and last what happens on the way to the service. */
export interface RouteActions {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly maintenance?: Maintenance;
  readonly redirect?: Redirect;
  readonly cors?: Cors;
  readonly max_body_bytes?: number;
  readonly rewrite_prefix?: string;
  readonly request_headers?: HeaderChanges;
  readonly response_headers?: HeaderChanges;
  readonly timeouts?: RouteTimeouts;
  readonly tries?: number;
}

const HEADER: TextRule = {
  kind: 'text',
  pattern: /^[a-z0-9-]+$/,
  most: 64,
  hint: 'the name of a header in lower case: at most 64 of a-z 0-9 -',
  good: ['a', 'x-role'],
  bad: ['', 'X-Role', 'x_role', 'a b', 'a:', 'a\r\n'],
};

const HEADER_VALUE: TextRule = {
  kind: 'text',
  pattern: /^[\x20-\x7e]*$/,
  most: 1_024,
  hint: 'at most {most} printable characters of ASCII, no line break'.replace('{most}', '1024'),
  good: ['a', '', 'max-age=60, public'],
  bad: ['a\r\nx-evil: 1', 'a\nb', 'a\0', 'é'],
};

const PATH: TextRule = {
  kind: 'text',
  pattern: /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*)?$/,
  most: 1_024,
  hint: 'a path like /new: it starts with /, has no query, no % and no empty segment, and does not end with / (except / itself)',
  good: ['/a', '/', '/new/v2'],
  bad: ['', 'a', '/a/', '//a', '/a?b', '/a%20', '/a b', '/é'],
};

const HOST: TextRule = {
  kind: 'text',
  pattern: /^[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?(?::\d{1,5})?$/,
  most: 253,
  hint: 'a host in lower case, with a port or without, like shop.example.com or shop.example.com:8443',
  good: ['a', 'shop.example.com', 'a:8443'],
  bad: ['', 'A', 'a/b', 'a b', 'https://a', 'a:', 'a@b', '-a'],
};

const ORIGIN: FormRule = {
  kind: 'form',
  fits: (text) =>
    text === '*' ||
    (text.length <= 253 &&
      /^https?:\/\/(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/.test(text)),
  hint: 'an origin like https://shop.example.com, in lower case, or *',
  good: ['*', 'https://shop.example.com', 'http://localhost:3000', 'https://[::1]:8'],
  bad: ['', 'shop.example.com', 'https://a/', 'https://A', 'null', 'https://*.a', 'ftp://a', 'https://a\n'],
};

const BODY: TextRule = {
  kind: 'text',
  pattern: /^[\t\n\x20-\x7e]*$/,
  most: 4_096,
  hint: 'at most 4096 characters of ASCII, lines and tabs among them',
  good: ['a', '', 'We are back at 5.\n'],
  bad: ['a\r', 'a\0', 'é'],
};

const headerValues = {
  rule: {
    kind: 'objects',
    members: {
      name: { rule: HEADER, doc: 'of the header' },
      value: { rule: HEADER_VALUE, doc: 'of the header' },
    },
    most: 16,
  },
  fallback: [],
} as const;

const CHANGES: Members = {
  set: { ...headerValues, doc: 'headers that have this value, whatever they had' },
  add: { ...headerValues, doc: 'headers that have this value as well' },
  remove: {
    rule: { kind: 'list', of: HEADER, most: 16 },
    fallback: [],
    doc: 'headers that are taken away, first of all',
  },
};

const milliseconds = (min: number) =>
  ({ rule: { kind: 'whole', min, max: 86_400_000 }, fallback: null }) as const;
const networks = { rule: { kind: 'list', of: NETWORK, most: 64 }, fallback: [] } as const;
const names = { rule: { kind: 'list', of: HEADER, most: 32 }, fallback: [] } as const;

/** In the order of the wire. */
export const ROUTE_ACTIONS: Members = {
  allow: { ...networks, doc: 'networks of clients: all others are refused (403). Empty = nobody is' },
  deny: { ...networks, doc: 'networks of clients that are refused (403), whatever `allow` says' },
  maintenance: {
    rule: {
      kind: 'object',
      members: {
        status: { rule: { kind: 'whole', min: 400, max: 599 }, fallback: 503, doc: 'of the answer' },
        body: { rule: BODY, fallback: '', doc: 'of the answer; empty = a problem as JSON' },
        content_type: {
          rule: { kind: 'one_of', values: ['text/plain', 'text/html', 'application/json'] },
          fallback: 'text/plain',
          doc: 'of `body`',
        },
        retry_after_s: {
          rule: { kind: 'whole', min: 0, max: 604_800 },
          fallback: 60,
          doc: 'what `Retry-After` says, in seconds; 0 = nothing',
        },
      },
    },
    fallback: null,
    doc: 'every request gets this answer',
  },
  redirect: {
    rule: {
      kind: 'object',
      members: {
        scheme: {
          rule: { kind: 'one_of', values: ['http', 'https'] },
          fallback: null,
          doc: 'absent: that of the request',
        },
        host: { rule: HOST, fallback: null, doc: 'absent: that of the request' },
        path: { rule: PATH, fallback: null, doc: 'in place of the whole path' },
        prefix: {
          rule: PATH,
          fallback: null,
          doc: "in place of the route's own `path`; what is below it stays",
        },
        status: {
          rule: { kind: 'whole', min: 301, max: 308 },
          fallback: 308,
          doc: 'of the answer: 301, 302, 303, 307 or 308',
        },
      },
    },
    fallback: null,
    doc: 'every request is sent elsewhere, with its query; one that is there already goes on to the service',
  },
  cors: {
    rule: {
      kind: 'object',
      members: {
        origins: { rule: { kind: 'list', of: ORIGIN, most: 64 }, doc: 'that may read answers' },
        methods: {
          rule: { kind: 'list', of: METHOD, most: 16 },
          fallback: ['GET', 'HEAD', 'POST'],
          doc: 'that a preflight allows',
        },
        headers: { ...names, doc: 'of requests, that a preflight allows' },
        expose: { ...names, doc: 'of answers, that scripts may read' },
        credentials: { rule: { kind: 'flag' }, fallback: false, doc: 'with cookies; not with the origin *' },
        max_age_s: {
          rule: { kind: 'whole', min: 0, max: 86_400 },
          fallback: 600,
          doc: 'how long a preflight is kept',
        },
      },
    },
    fallback: null,
    doc: 'which pages of other origins may read the answers; preflights are answered by the gateway',
  },
  max_body_bytes: {
    rule: { kind: 'whole', min: 0, max: 1_000_000_000_000 },
    fallback: 0,
    doc: 'a longer body is refused (413), and one of unknown length (411); 0 = as the gateway takes',
  },
  rewrite_prefix: {
    rule: PATH,
    fallback: null,
    doc: "in place of the route's own `path`, for the service; `/` takes it away",
  },
  request_headers: {
    rule: { kind: 'object', members: CHANGES },
    fallback: null,
    doc: 'what the service gets',
  },
  response_headers: {
    rule: { kind: 'object', members: CHANGES },
    fallback: null,
    doc: "what the client gets, of the service's answers and of the gateway's own",
  },
  timeouts: {
    rule: {
      kind: 'object',
      members: {
        connect_ms: { ...milliseconds(1), doc: 'to connect to an instance' },
        send_ms: { ...milliseconds(1), doc: 'between two writes to it' },
        read_ms: { ...milliseconds(1), doc: 'between two reads from it' },
        try_ms: { ...milliseconds(0), doc: 'bounds each wait of one try; 0 = none' },
        total_ms: {
          ...milliseconds(0),
          doc: 'after it no other try is begun, and none may wait past it; 0 = none',
        },
      },
    },
    fallback: null,
    doc: "those that are given, in place of the service's",
  },
  tries: {
    rule: { kind: 'whole', min: 1, max: 5 },
    fallback: null,
    doc: "in place of the service's `retry.tries`: 1 = no retry",
  },
};
