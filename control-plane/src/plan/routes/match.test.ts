import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RouteSpec } from '../../model/route.js';
import type { Route } from '../../model/set.js';
import { compileRoutes } from '../compile_routes.js';
import { routeOnWire } from '../spec.js';
import { findings, matchRoute } from './match.js';
import { areAmbiguous, compareAtOnePath, placeOf } from './order.js';
import type { RoutedRequest } from './target.js';

/*
 * docs/contract/route_examples.json holds the router of the gateways (lua/spec/route_examples_spec.lua) and this matcher to the
 * same answers.
 */

interface Example {
  readonly about: string;
  readonly routes: readonly Route[];
  readonly requests: readonly (Partial<RoutedRequest> & { readonly takes: string | null })[];
}

const FILE = new URL('../../../../docs/contract/route_examples.json', import.meta.url);
const examples = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Example[];
const USUAL: RoutedRequest = {
  ...{ method: 'GET', host: 'h.test', path: '/', query: '', headers: [], client: '203.0.113.9' },
};

describe.each(examples)('routes by $about', ({ routes, requests }) => {
  test.each(requests.map((request) => [`${request.host ?? ''}${request.path ?? ''}`, request] as const))(
    '%s',
    (_, { takes, ...request }) => {
      const asked = { ...USUAL, ...request };
      for (const list of [routes, routes.toReversed()])
        expect(matchRoute(list, asked)?.service ?? null).toBe(takes);
    },
  );
  test('is a table that is published as it is', () => {
    const wanted = new Map<string, RouteSpec[]>();
    for (const { service, ...route } of routes) wanted.set(service, [...(wanted.get(service) ?? []), route]);
    const { table, clashes } = compileRoutes(wanted);
    expect(clashes).toEqual([]);
    expect(table.routes).toHaveLength(routes.length);
  });
});

const value = fc.oneof(
  fc.record({ name: fc.constant('h'), exact: fc.constantFrom('x', 'y') }),
  fc.record({ name: fc.constant('h'), prefix: fc.constantFrom('x', 'xx', '') }),
  fc.record({ name: fc.constant('h'), regex: fc.constantFrom('x+', '[xy]') }),
  fc.record({ name: fc.constant('h'), present: fc.boolean() }),
);
const anyRoute: fc.Arbitrary<RouteSpec> = fc.record(
  {
    host: fc.constantFrom('*', '*.b', 'a.b'),
    path: fc.constantFrom('/', '/p'),
    match: fc.constantFrom('prefix' as const, 'exact' as const),
    priority: fc.constantFrom(0, 1),
    regex: fc.constantFrom('/.*', '/p'),
    methods: fc.constantFrom(['GET'], ['POST'], ['GET', 'POST']),
    headers: fc.array(value, { minLength: 1, maxLength: 1 }),
    query: fc.array(value, { minLength: 1, maxLength: 1 }),
    clients: fc.constantFrom(['10.0.0.0/8'], ['10.1.0.0/16'], ['192.0.2.0/24']),
  },
  { requiredKeys: ['host', 'path'] },
);
const anyRequest: fc.Arbitrary<RoutedRequest> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  host: fc.constantFrom('a.b', 'c.b', 'other'),
  path: fc.constantFrom('/', '/p', '/p/q', '/pq'),
  query: fc.constantFrom('', 'h=x', 'h=y', 'h=xx'),
  headers: fc.constantFrom([], [['h', 'x'] as const], [['h', 'xx'] as const], [['h', 'y'] as const]),
  client: fc.constantFrom('10.1.0.1', '10.2.0.1', '192.0.2.1', null),
});

const fits = (route: RouteSpec, request: RoutedRequest): boolean =>
  findings({ ...route, service: 's' }, request).every(({ met }) => met);

test('two routes that are not ambiguous have an order, or no request in common', () => {
  let both = 0;
  fc.assert(
    fc.property(anyRoute, anyRoute, anyRequest, (a, b, request) => {
      if (placeOf(a) !== placeOf(b) || compareAtOnePath(a, b) !== 0 || areAmbiguous(a, b)) return;
      both += 1;
      expect(fits(a, request) && fits(b, request)).toBe(false);
    }),
    { numRuns: 20_000 },
  );
  expect(both).toBeGreaterThan(100);
});

test('what is published says for each request who has it, in whatever order services and routes come', () => {
  fc.assert(
    fc.property(
      fc.array(anyRoute, { minLength: 1, maxLength: 8 }),
      fc.array(anyRequest, { minLength: 5, maxLength: 5 }),
      (routes, requests) => {
        const wanted = new Map(routes.map((route, index) => [`s${String(index)}`, [route]]));
        const { table, clashes } = compileRoutes(wanted);
        expect(table.routes.length + clashes.length).toBe(routes.length);
        for (const request of requests) {
          const found = table.routes.filter((route) => fits(route, request));
          const winner = matchRoute(table.routes, request);
          expect(winner === null).toBe(found.length === 0);
          if (winner === null) continue;
          expect(matchRoute(table.routes.toReversed(), request)).toEqual(winner);
          // Nobody else at its place who fits is its equal.
          const rivals = found.filter((one) => one !== winner && placeOf(one) === placeOf(winner));
          expect(rivals.every((one) => compareAtOnePath(winner, one) < 0)).toBe(true);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test('what is said in other words and means the same has the same bytes', () => {
  const route = { host: '*', path: '/a', methods: ['GET'] };
  expect(routeOnWire({ ...route, match: 'prefix', priority: 0, headers: [], clients: [] })).toEqual(route);
});
