import { checkName } from './names.js';
import { NETWORK } from './network.js';
import type { FormRule, Members } from './shape.js';

/*
 * Limits of requests: what a gateway refuses before it asks an instance. The gateway's own reader of these settings is
 * lua/ebbgate/core/limit/limit.lua.
 */

export const LIMIT_ALGORITHMS = [
  'token_bucket',
  'leaky_bucket',
  'fixed_window',
  'sliding_window',
  'concurrency',
] as const;
/** Whom a limit holds for: each gateway by itself, or all of them together. */
export const LIMIT_SCOPES = ['gateway', 'cluster'] as const;
export type LimitAlgorithm = (typeof LIMIT_ALGORITHMS)[number];

/** One limit of a service, as it is published: without what equals its default. */
export interface Limit {
  readonly name: string;
  readonly algorithm?: LimitAlgorithm;
  readonly scope?: (typeof LIMIT_SCOPES)[number];
  /** What requests are counted together by; empty = all of the service. */
  readonly key?: readonly string[];
  /** Like `100/s`; absent of `concurrency` alone. */
  readonly rate?: string;
  readonly burst?: number;
  readonly queue?: number;
  readonly cost?: number;
  readonly status?: number;
  readonly mode?: 'enforce' | 'log';
  /** Clients that it leaves out. */
  readonly exempt?: readonly string[];
  /** Consumers that it leaves out. */
  readonly exempt_consumers?: readonly string[];
  /** Names of the service's routes; empty = whatever the route. */
  readonly routes?: readonly string[];
}

/** How often a limit was asked, by all gateways that say so, in the seconds that they looked back. */
export interface LimitCounts {
  readonly admitted: number;
  /** Of those admitted: had to wait. */
  readonly delayed: number;
  /** With mode `log`: would have been refused. */
  readonly refused: number;
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const MOST_COUNT = 1_000_000_000;

/** Requests and the seconds that they are for; null of a text that is no rate. */
export function parseRate(text: string): { readonly count: number; readonly seconds: number } | null {
  const match = /^([1-9]\d{0,9})\/([smhd])$/.exec(text);
  const count = Number(match?.[1]);
  if (!match || count > MOST_COUNT) return null;
  return { count, seconds: SECONDS[match[2] as keyof typeof SECONDS] };
}

/** What a token bucket gives at once: what was decided (not 0), else as much as it gets in a second, and 1 at least. */
function burstOf(burst: number, rate: { readonly count: number; readonly seconds: number }): number {
  if (burst > 0) return burst;
  return Math.max(1, Math.ceil(rate.count / rate.seconds));
}

/** Parts of a key that are one word. `consumer` and `api_key` need `auth.type` api_key. */
const KEY_WORDS: readonly string[] = ['client_ip', 'consumer', 'api_key', 'route'];

/** True of a limit that counts by who proved to be whom. */
export function isKeyedByConsumer({ key }: Pick<FilledLimit, 'key'>): boolean {
  return key.includes('consumer') || key.includes('api_key');
}

function isKeyPart(text: string): boolean {
  const network = /^client_ip\/(\d{1,3})\/(\d{1,3})$/.exec(text);
  if (network) return isWithin(Number(network[1]), 32) && isWithin(Number(network[2]), 128);
  return KEY_WORDS.includes(text) || /^(?:header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(text);
}

function isWithin(bits: number, most: number): boolean {
  return bits >= 1 && bits <= most;
}

const RATE: FormRule = {
  kind: 'form',
  fits: (text) => parseRate(text) !== null,
  hint: 'a rate like 100/s: requests per second (s), minute (m), hour (h) or day (d)',
  good: ['1/s', '7/m', '1000000000/d', '20/h'],
  bad: ['0/s', '1', '1/w', '-1/s', '1.5/s', '01/s', '1000000001/s', ' 1/s', '1/s '],
};

const KEY_PART: FormRule = {
  kind: 'form',
  fits: isKeyPart,
  hint: 'client_ip, client_ip/24/56 (a prefix of IPv4, and one of IPv6), consumer, api_key, route, header:NAME or cookie:NAME',
  good: [
    'client_ip',
    'consumer',
    'api_key',
    'route',
    'client_ip/24/56',
    'client_ip/1/1',
    'client_ip/32/128',
    'header:X-User',
    'cookie:sid',
  ],
  bad: [
    '',
    'ip',
    'consumers',
    'client_ip/0/64',
    'client_ip/33/64',
    'client_ip/24',
    'client_ip/24/129',
    'header:',
    'Header:x',
    'cookie:a;b',
    'header:a\n',
  ],
};

const CONSUMER: FormRule = {
  kind: 'form',
  fits: (text) => checkName('consumer', text).ok,
  hint: 'the name of a consumer',
  good: ['acme', 'A.b_c@d+e-1'],
  bad: ['', 'a b', '-a', 'é', 'a/b', 'a'.repeat(64), 'a\n'],
};

const ROUTE_NAME: FormRule = {
  kind: 'form',
  fits: (text) => text.length <= 128 && /^[a-z0-9*_[][A-Za-z0-9*._~!$&'()+,;=:@%/#[\]-]*$/.test(text),
  hint: 'the name of a route',
  good: ['a', 'api-v2', '*/api#1f2e3d'],
  bad: ['', '-a', 'a b', 'a"', 'a\n', 'é'],
};

/** The settings of one limit. */
export const LIMIT: Members = {
  name: {
    rule: {
      kind: 'text',
      pattern: /^[a-z0-9][a-z0-9._-]*$/,
      most: 64,
      hint: 'a name of at most 64 of a-z 0-9 . _ -, that starts with a letter or digit',
      good: ['per-client', 'a', '9.x_y'],
      bad: ['', 'Per', '-a', 'a b', 'a"', 'é'],
    },
    doc: 'names the limit in answers, metrics and logs; no two limits of a service share one',
  },
  algorithm: {
    rule: { kind: 'one_of', values: LIMIT_ALGORITHMS },
    fallback: 'token_bucket',
    doc: 'how requests are counted; `concurrency` counts those that are open, the others those that come',
  },
  scope: {
    rule: { kind: 'one_of', values: LIMIT_SCOPES },
    fallback: 'gateway',
    doc: '`gateway`: each gateway counts for itself; `cluster`: all gateways count together, by `token_bucket` alone',
  },
  key: {
    rule: { kind: 'list', of: KEY_PART, most: 8 },
    fallback: [],
    doc: 'what requests are counted together by: those whose parts are all equal share a limit; empty = all requests of the service',
  },
  rate: {
    rule: RATE,
    fallback: null,
    doc: 'requests in a time; the windows are so long. Needed, but for `concurrency`, which has none',
  },
  burst: {
    rule: { kind: 'whole', min: 0, max: 1_000_000_000 },
    fallback: 0,
    doc: '`token_bucket`: how many at once, 0 = as many as come in a second by its rate; `concurrency`: how many may be open',
  },
  queue: {
    rule: { kind: 'whole', min: 0, max: 100_000 },
    fallback: 0,
    doc: '`leaky_bucket`: how many may wait for their turn; what comes beyond is refused',
  },
  cost: {
    rule: { kind: 'whole', min: 1, max: 1_000_000 },
    fallback: 1,
    doc: 'how many requests one request counts for',
  },
  status: {
    rule: { kind: 'whole', min: 400, max: 599 },
    fallback: 429,
    doc: 'the status of what it refuses',
  },
  mode: {
    rule: { kind: 'one_of', values: ['enforce', 'log'] },
    fallback: 'enforce',
    doc: '`log` refuses nothing: it counts what it would have refused',
  },
  exempt: {
    rule: { kind: 'list', of: NETWORK, most: 64 },
    fallback: [],
    doc: 'clients that it leaves out: neither counted nor refused',
  },
  exempt_consumers: {
    rule: { kind: 'list', of: CONSUMER, most: 64 },
    fallback: [],
    doc: '[consumers](../how-to/api-keys.md) that it leaves out, by name',
  },
  routes: {
    rule: { kind: 'list', of: ROUTE_NAME, most: 32 },
    fallback: [],
    doc: "names of the service's routes: it counts and refuses what they take, and nothing else. Empty = whatever the route",
  },
};

/** With every default filled in. */
export type FilledLimit = Required<Omit<Limit, 'rate'>> & { readonly rate: string | null };

/** What of a limit does not go together: the member and a sentence; null if all does. */
export function limitContradiction(limit: FilledLimit): readonly [keyof Limit, string] | null {
  const { algorithm, scope, rate, burst, queue, cost } = limit;
  if (scope === 'cluster' && algorithm !== 'token_bucket')
    return ['scope', `cluster goes with algorithm token_bucket only, not with ${algorithm}: leave scope out`];
  if (algorithm === 'concurrency') {
    if (rate !== null) return ['rate', 'must be left out with algorithm concurrency, which has none'];
    if (burst === 0) return ['burst', 'is needed by concurrency: how many requests may be open'];
    return cost > burst ? ['burst', `must be at least cost (${String(cost)}), or nothing passes`] : null;
  }
  const parsed = rate === null ? null : parseRate(rate);
  if (parsed === null) return ['rate', 'is needed: a rate like 100/s'];
  if (algorithm !== 'token_bucket' && burst !== 0)
    return ['burst', `goes with token_bucket and concurrency only, not with ${algorithm}`];
  if (algorithm !== 'leaky_bucket' && queue !== 0)
    return ['queue', `goes with leaky_bucket only, not with ${algorithm}`];
  const most = algorithm === 'token_bucket' ? burstOf(burst, parsed) : parsed.count;
  return cost > most ? ['cost', `must be at most ${String(most)}, or nothing passes`] : null;
}
