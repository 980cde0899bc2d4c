import type { FormRule, Members } from './shape.js';

/*
 * Who may send requests to a service. The gateway's own reader of these settings is lua/ebbgate/core/auth.lua.
 */

export const AUTH_TYPES = ['none', 'api_key'] as const;

/** As it is published: without what equals its default. */
export interface Auth {
  readonly type: (typeof AUTH_TYPES)[number];
  readonly header?: string;
  readonly query?: string;
  readonly pass_key?: boolean;
}

/**
 * Headers that frame a request, that nginx or the gateway reads or writes itself, or that browsers and proxies put other things into:
 * a key in one of them would be lost, or taken from what is needed.
 */
const TAKEN = new Set([
  ...['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'te', 'trailer', 'keep-alive'],
  ...['proxy', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate', 'http2-settings', 'expect'],
  ...[
    'forwarded',
    'via',
    'traceparent',
    'tracestate',
    'cookie',
    'content-type',
    'content-encoding',
    'accept',
  ],
  ...['accept-encoding', 'user-agent', 'referer', 'origin', 'range', 'cache-control', 'depth', 'destination'],
]);
const TAKEN_BEGINNINGS = ['x-forwarded-', 'x-ebbgate-', 'x-real-ip', 'x-request-id', 'if-', 'grpc-', 'sec-'];

function isKeyHeader(text: string): boolean {
  const name = text.toLowerCase();
  if (name === '') return true;
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name) || TAKEN.has(name)) return false;
  return !TAKEN_BEGINNINGS.some((one) => name.startsWith(one));
}

const HEADER: FormRule = {
  kind: 'form',
  fits: isKeyHeader,
  hint: 'the name of a header, at most 64 of A-Z a-z 0-9 -, that is not one which HTTP or the gateway uses itself, like Host, Cookie or X-Forwarded-For; empty = no header',
  good: ['', 'X-API-Key', 'Authorization', 'apikey', 'x-ebb'],
  bad: [
    ...[
      'x_api_key',
      '-x',
      '9x',
      'a b',
      'a:b',
      'é',
      'x-api-key\n',
      'Host',
      'cookie',
      'X-Forwarded-For',
      'Sec-Fetch-Site',
    ],
    ...[
      'X-Ebbgate-Consumer',
      'x-real-ip',
      'X-Request-ID',
      'Content-Length',
      'Transfer-Encoding',
      'If-Match',
      'TE',
    ],
  ],
};

const QUERY: FormRule = {
  kind: 'form',
  fits: (text) => /^[a-z0-9_]{0,64}$/.test(text),
  hint: 'the name of a query argument, at most 64 of a-z 0-9 _; empty = no argument',
  good: ['', 'api_key', 'k', '9'],
  bad: ['api-key', 'Key', 'a b', 'a=b', 'a&b', 'é', 'key\n'],
};

export const AUTH: Members = {
  type: {
    rule: { kind: 'one_of', values: AUTH_TYPES },
    fallback: 'none',
    always: true,
    doc: '`api_key`: a request needs the key of a [consumer](../how-to/api-keys.md); `none`: nobody is asked',
  },
  header: {
    rule: HEADER,
    fallback: 'X-API-Key',
    doc: 'the header that has the key; of `Authorization` the form is `Bearer KEY`; empty = none has',
  },
  query: {
    rule: QUERY,
    fallback: '',
    doc: 'the query argument that has the key; empty = none has. Prefer a header: addresses are written down in more places',
  },
  pass_key: {
    rule: { kind: 'flag' },
    fallback: false,
    doc: 'true = the instance gets the header with the key too; else it is taken out. The value of the argument is overwritten in any case',
  },
};
