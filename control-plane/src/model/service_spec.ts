import { BREAKER } from './breaker.js';
import { AUTH } from './auth.js';
import { CONCURRENCY } from './concurrency.js';
import { HEALTH } from './health.js';
import { isKeyedByConsumer, LIMIT, limitContradiction, type FilledLimit } from './limit.js';
import { ALGORITHMS, RETRY_CLASSES } from './set.js';
import { flag, milliseconds, percent, text, TOKEN, TOKENS, whole } from './rules.js';
import type { Fault, Member, Members } from './shape.js';

/*
 * What can be decided for a service besides its routes, as one table: limits, defaults, meaning. The API, the intent
 * record, the published set, the command line and docs/reference/service-spec.md are made from it. So is
 * docs/contract/spec.json, against which the gateway's own reader (lua/ebbgate/core/wire.lua) is tested.
 */

const HASH_ON: Members = {
  source: {
    rule: { kind: 'one_of', values: ['header', 'cookie', 'query', 'path'] },
    always: true,
    doc: 'what of a request is hashed; `path` is the path without the query',
  },
  name: {
    rule: text(TOKEN, 128, 'a token of 1 to {most} characters, like x-user', TOKENS),
    fallback: null,
    doc: 'of the header, cookie or query argument; none for `path`',
  },
};

const STICKY: Members = {
  cookie: {
    rule: text(TOKEN, 64, 'a token of 1 to {most} characters, like shop_at', TOKENS),
    always: true,
    doc: "the cookie's name",
  },
  max_age_s: {
    rule: whole(0, 31_536_000),
    fallback: 0,
    doc: 'seconds that the browser keeps it; 0 = until it is closed',
  },
};

/** Every section of a service's spec that goes into its set, in the order of the wire. */
export const SECTIONS = {
  balancer: section('How an instance is picked.', true, {
    algorithm: {
      rule: { kind: 'one_of', values: ALGORITHMS },
      fallback: 'weighted_round_robin',
      always: true,
      doc: 'how an instance is picked; a change is a live one, and counts and averages survive it',
    },
    hash_on: {
      rule: { kind: 'object', members: HASH_ON },
      fallback: null,
      doc: 'what a request hashes to; needed by `consistent_hash`',
    },
    max_load_percent: {
      rule: percent(10_000),
      fallback: 125,
      doc: '`consistent_hash`: an instance takes at most this share of the mean load; at least 100, or 0 = no bound',
    },
    prefer_zone: {
      rule: flag,
      fallback: false,
      doc: "the gateway's own zone first; what is too much for it spills over",
    },
    sticky: {
      rule: { kind: 'object', members: STICKY },
      fallback: null,
      doc: 'clients keep their instance by a cookie',
    },
  }),
  timeouts: section('How long a request may take.', true, {
    connect_ms: { rule: milliseconds(1), fallback: 500, always: true, doc: 'to connect to an instance' },
    send_ms: { rule: milliseconds(1), fallback: 60_000, always: true, doc: 'between two writes to it' },
    read_ms: { rule: milliseconds(1), fallback: 60_000, always: true, doc: 'between two reads from it' },
    try_ms: { rule: milliseconds(0), fallback: 0, doc: 'bounds each wait of one try; 0 = none' },
    total_ms: {
      rule: milliseconds(0),
      fallback: 0,
      doc: 'after it no other try is begun, and none may wait past it; 0 = none, else at least `try_ms`',
    },
  }),
  retry: section('When a request is sent again, to another instance.', true, {
    tries: { rule: whole(1, 5), fallback: 2, always: true, doc: 'the first one included: 1 = no retry' },
    on: {
      rule: { kind: 'one_of', values: RETRY_CLASSES },
      fallback: 'error',
      doc: '`error`: the instance gave no answer; `gateway_error`: also 502, 503, 504; `server_error`: also 500, 429',
    },
    non_idempotent: {
      rule: flag,
      fallback: false,
      doc: 'true = POST and all that is not idempotent is repeated too, once sent',
    },
    budget_percent: {
      rule: percent(100),
      fallback: 20,
      doc: 'retries per requests over ten seconds, in percent; 100 = no budget',
    },
    budget_min_per_s: {
      rule: whole(0, 1_000_000),
      fallback: 3,
      doc: 'retries per second of one gateway that are allowed whatever the percentage',
    },
  }),
  health: section('When an instance is left out because it fails.', true, HEALTH),
  breaker: section('When the whole service is left alone, because its requests fail.', false, BREAKER),
  auth: section('Who may send requests.', false, AUTH),
  concurrency: section('How many requests may be open.', false, CONCURRENCY),
  limits: {
    rule: { kind: 'objects', members: LIMIT, most: 16 },
    fallback: [],
    always: false,
    doc: 'What a gateway refuses before it asks an instance: the strictest of them decides, and what one refuses takes nothing from the others.',
  },
  upstream: section('How a gateway speaks to the instances.', false, {
    scheme: {
      rule: { kind: 'one_of', values: ['http', 'https', 'grpc', 'grpcs'] },
      fallback: 'http',
      always: true,
      doc: 'the protocol',
    },
    tls: {
      rule: text(/^[a-z0-9_]*$/, 32, 'the name of a TLS profile: at most {most} of a-z 0-9 _', {
        good: ['inside', 'v_2'],
        bad: ['Inside', 'in-side', 'a b'],
      }),
      fallback: '',
      doc: "a TLS profile of the gateways' configuration, for `https` and `grpcs`; empty = their default",
    },
  }),
} as const satisfies Members;

export type SectionName = keyof typeof SECTIONS;
export const SECTION_NAMES = Object.keys(SECTIONS) as readonly SectionName[];

function section(doc: string, always: boolean, members: Members) {
  return { rule: { kind: 'object', members }, fallback: {}, always, doc } as const satisfies Member;
}

/** The sections as they are checked against each other: every default filled in. */
interface Filled {
  readonly balancer: {
    readonly algorithm: string;
    readonly hash_on: { readonly source: string; readonly name?: string | null } | null;
    readonly max_load_percent: number;
  };
  readonly timeouts: { readonly try_ms: number; readonly total_ms: number };
  readonly health: {
    readonly check: {
      readonly interval_ms: number;
      readonly timeout_ms: number;
      readonly statuses: readonly unknown[];
    } | null;
  };
  readonly auth: { readonly type: string; readonly header: string; readonly query: string };
  readonly concurrency: {
    readonly max_per_instance: number;
    readonly max_per_service: number;
    readonly max_pending: number;
  };
  readonly limits: readonly FilledLimit[];
  readonly upstream: { readonly scheme: string; readonly tls: string };
}

/** Members that are each right and do not go together. Empty = all is well. */
export function contradictions({
  balancer,
  timeouts,
  health,
  auth,
  concurrency,
  limits,
  upstream,
}: Filled): readonly Fault[] {
  const faults: Fault[] = [];
  const say = (path: string, message: string): void => {
    faults.push({ path: path.split('.'), message });
  };
  const { hash_on: hashOn, max_load_percent: load } = balancer;
  if (balancer.algorithm === 'consistent_hash' && hashOn === null)
    say(
      'balancer.hash_on',
      'is needed by consistent_hash: say what is hashed, like source header and name x-user',
    );
  const named = (hashOn?.name ?? null) !== null;
  if (hashOn?.source === 'path' && named)
    say('balancer.hash_on.name', 'must be left out with source path, which has no name');
  if (hashOn !== null && hashOn.source !== 'path' && !named)
    say('balancer.hash_on.name', `is needed with source ${hashOn.source}: the name of the ${hashOn.source}`);
  if (load > 0 && load < 100) say('balancer.max_load_percent', 'must be at least 100, or 0 for no bound');
  if (timeouts.total_ms > 0 && timeouts.total_ms < timeouts.try_ms)
    say(
      'timeouts.total_ms',
      `must be at least timeouts.try_ms (${String(timeouts.try_ms)}), or 0 for none; it is ${String(timeouts.total_ms)}`,
    );
  const check = health.check;
  if (check !== null && check.timeout_ms >= check.interval_ms)
    say(
      'health.check.timeout_ms',
      `must be below health.check.interval_ms (${String(check.interval_ms)}); it is ${String(check.timeout_ms)}`,
    );
  if (check?.statuses.length === 0)
    say('health.check.statuses', 'must contain at least one range, or no answer would be good');
  if (auth.type === 'api_key' && auth.header === '' && auth.query === '')
    say('auth.header', 'is needed unless auth.query is given: somewhere the key must be');
  const { max_per_instance: each, max_per_service: all, max_pending: pending } = concurrency;
  if (pending > 0 && each === 0 && all === 0)
    say(
      'concurrency.max_pending',
      'goes with concurrency.max_per_instance or .max_per_service only: without a bound nobody has to wait',
    );
  for (const [index, limit] of limits.entries()) {
    const wrong = limitContradiction(limit);
    if (wrong) say(`limits.${String(index)}.${wrong[0]}`, wrong[1]);
    else if (auth.type === 'none' && isKeyedByConsumer(limit))
      say(
        `limits.${String(index)}.key`,
        'has consumer or api_key, which nobody is without auth.type api_key: set that, or use another part',
      );
  }
  if (upstream.tls !== '' && upstream.scheme !== 'https' && upstream.scheme !== 'grpcs')
    say(
      'upstream.tls',
      `goes with upstream.scheme https or grpcs only, and that is ${upstream.scheme}; leave it out or change the scheme`,
    );
  return faults;
}
