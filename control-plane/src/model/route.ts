import { METHOD } from './method.js';
import type { Fault, Members, TextRule } from './shape.js';
import { NETWORK } from './network.js';
import { actionContradictions } from './action_contradictions.js';
import { ROUTE_ACTIONS, type RouteActions } from './route_actions.js';
import { LONGEST_PATTERN, patternFault } from './pattern.js';

/*
 * Routes: which requests go to a service. What orders them is plan/route_order.ts; the gateway's own reader is
 * lua/ebbgate/core/route_rules.lua, and lua/ebbgate/core/router.lua chooses.
 */

/** What the value of a header or query argument must be; one of the four. */
export interface ValueCondition {
  /** Of the header (lower case) or query argument. */
  readonly name: string;
  readonly exact?: string;
  readonly prefix?: string;
  /** A pattern (model/pattern.ts) of the whole value. */
  readonly regex?: string;
  /** True: it is there, whatever its value; false: it is not. */
  readonly present?: boolean;
}

/** A route of one service. A member that may be absent has a default: what nobody asked for changes no bytes. */
export interface RouteSpec extends RouteActions {
  readonly host: string;
  readonly path: string;
  /** Absent: made from the others (plan/route_name.ts). */
  readonly name?: string;
  readonly match?: 'prefix' | 'exact';
  /** Of two routes with the same host and path the one with the higher is asked first. */
  readonly priority?: number;
  /** A pattern of the whole path. */
  readonly regex?: string;
  readonly methods?: readonly string[];
  readonly headers?: readonly ValueCondition[];
  readonly query?: readonly ValueCondition[];
  /** Networks of clients. */
  readonly clients?: readonly string[];
}

/** So many routes may have a `regex` for one host, and so many routes conditions for one host and path. */
export const MOST_REGEX_OF_HOST = 16;
export const MOST_AT_ONE_PATH = 64;
/** So many routes one service may have. */
export const MOST_ROUTES = 1_000;

const VALUE = {
  kind: 'text',
  pattern: /^[\x20-\x7e]*$/,
  most: 256,
  hint: 'at most 256 printable characters of ASCII',
  good: ['a', '', 'a b', 'x;q=1'],
  bad: ['é', 'a\nb', 'a\x7f'],
} as const satisfies TextRule;

const REGEX = {
  ...VALUE,
  most: LONGEST_PATTERN,
  hint: `a pattern of at most ${String(LONGEST_PATTERN)} printable characters of ASCII`,
  good: ['a', '/users/\\d+', '[^/]+'],
} as const satisfies TextRule;

function conditions(name: TextRule, what: string): Members {
  return {
    name: { rule: name, doc: `of the ${what}` },
    exact: { rule: VALUE, fallback: null, doc: 'its value is this' },
    prefix: { rule: VALUE, fallback: null, doc: 'its value begins with this' },
    regex: { rule: REGEX, fallback: null, doc: 'its whole value matches this pattern' },
    present: {
      rule: { kind: 'flag' },
      fallback: null,
      doc: 'true: it is there, whatever its value; false: it is not',
    },
  };
}

const HEADER_NAME: TextRule = {
  kind: 'text',
  pattern: /^[a-z0-9-]+$/,
  most: 64,
  hint: 'the name of a header in lower case: at most 64 of a-z 0-9 -',
  good: ['a', 'x-role'],
  bad: ['', 'X-Role', 'x_role', 'a b', 'a:'],
};

const ARGUMENT_NAME: TextRule = {
  kind: 'text',
  pattern: /^[A-Za-z0-9._~[\]-]+$/,
  most: 64,
  hint: 'the name of a query argument: at most 64 of A-Z a-z 0-9 . _ ~ [ ] -',
  good: ['a', 'page[size]'],
  bad: ['', 'a=b', 'a&b', 'a b', 'é'],
};

const CONDITIONS: Members = {
  name: {
    rule: {
      kind: 'text',
      pattern: /^[a-z0-9*_[][A-Za-z0-9*._~!$&'()+,;=:@%/#[\]-]*$/,
      most: 128,
      hint: 'a name of at most 128 characters without white space, that begins with a-z, 0-9, *, _ or [',
      good: ['a', 'api-v2', '9.x_y', '*/api#1f2e3d'],
      bad: ['', '-a', 'a b', 'a"', 'é'],
    },
    fallback: null,
    doc: 'names it in answers and logs; no two routes of a service share one. Default: made from host and path',
  },
  match: {
    rule: { kind: 'one_of', values: ['prefix', 'exact'] },
    fallback: 'prefix',
    doc: '`prefix`: `path` and all below it; `exact`: this path alone',
  },
  priority: {
    rule: { kind: 'whole', min: 0, max: 1_000 },
    fallback: 0,
    doc: 'of several routes with the same host and path the one with the higher is asked first',
  },
  regex: {
    rule: REGEX,
    fallback: null,
    doc: 'a pattern of the whole path, which is below `path` as well',
  },
  methods: {
    rule: {
      kind: 'list',
      of: METHOD,
      most: 16,
    },
    fallback: [],
    doc: 'the methods; HEAD is one of its own. Empty = any',
  },
  headers: {
    rule: { kind: 'objects', members: conditions(HEADER_NAME, 'header'), most: 8 },
    fallback: [],
    doc: 'what headers must be, all of them. Several lines of one name are one value, with `, ` between them',
  },
  query: {
    rule: { kind: 'objects', members: conditions(ARGUMENT_NAME, 'query argument'), most: 8 },
    fallback: [],
    doc: 'what query arguments must be, all of them, decoded. Of several of one name the first counts',
  },
  clients: {
    rule: { kind: 'list', of: NETWORK, most: 64 },
    fallback: [],
    doc: 'the networks that the client is in one of. Empty = any',
  },
};

/** What a route may say beside its host and path, in the order of the wire. */
export const ROUTE_MEMBERS: Members = { ...CONDITIONS, ...ROUTE_ACTIONS };

/** What in a route does not go together or is no pattern, each with the path of its member. */
export function routeContradictions(route: RouteSpec): readonly Fault[] {
  const faults: Fault[] = [...actionContradictions(route)];
  const say = (path: readonly string[], message: string | null): void => {
    if (message !== null) faults.push({ path, message });
  };
  if (route.regex !== undefined) say(['regex'], patternFault(route.regex));
  if (route.regex !== undefined && route.match === 'exact')
    say(['match'], 'must be left out with a regex: path is where the pattern begins to count');
  for (const list of ['headers', 'query'] as const)
    for (const [index, one] of (route[list] ?? []).entries()) {
      const at = [list, String(index)];
      const said = [one.exact, one.prefix, one.regex, one.present].filter((value) => value !== undefined);
      if (said.length !== 1) say(at, 'must have one of exact, prefix, regex and present');
      if (one.regex !== undefined) say([...at, 'regex'], patternFault(one.regex));
    }
  return faults;
}

/** `GET *.example.com /api`: a route as people read it, without its conditions on values. */
export function spellRoute({ host, path, methods = [], match }: RouteSpec): string {
  const which = methods.length === 0 ? '' : `${methods.join(',')} `;
  return `${which}${host} ${match === 'exact' ? '=' : ''}${path}`;
}
