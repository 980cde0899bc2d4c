import { expect, test } from 'vitest';
import type { RouteQuestion } from '../../model/route_resources.js';
import type { PublishedDocument, Route } from '../../model/set.js';
import { buildEncoded, buildRoutes } from '../../testing/builders.js';
import { describeRoutes, testRoute } from './describe.js';

const ROUTES: readonly Route[] = [
  { host: '*', path: '/', service: 'web' },
  { host: '*', path: '/api', service: 'rest' },
  { host: '*', path: '/api', service: 'writes', name: 'writes', methods: ['POST'] },
  { host: 'a.test', path: '/', service: 'a', name: 'only-beta', headers: [{ name: 'x-beta', exact: 'yes' }] },
  { host: '*', path: '/in', service: 'office', name: 'office', clients: ['10.0.0.0/8'] },
];
const published = { ...buildEncoded(buildRoutes(ROUTES)), epoch: 1, generation: 1, at: '' };
const world = { published: new Map<string, PublishedDocument>([['@routes', published]]) };

const asked = (url: string, more: Partial<RouteQuestion> = {}) =>
  testRoute(world, { method: 'GET', url, headers: [], client: null, ...more });
const answer = (url: string, more: Partial<RouteQuestion> = {}) => {
  const tested = asked(url, more);
  if (!tested.ok) throw new Error(tested.error.detail);
  return tested.value;
};

test('the routes come in the order in which they are asked', () => {
  expect(describeRoutes(world).map(({ name }) => name)).toEqual([
    'only-beta',
    'writes',
    '*/api',
    'office',
    '*/',
  ]);
  expect(describeRoutes({ published: new Map() })).toEqual([]);
});

test('a test says which route a request takes, why, and why not the nearest others', () => {
  const { request, route, why, others } = answer('https://A.test:8443/api/%78/?q=1#f');
  expect(request).toEqual({ method: 'GET', host: 'a.test', path: '/api/x/', query: 'q=1' });
  expect([route?.service, why]).toEqual(['rest', ['any host', 'the path is below /api']]);
  expect(others.map((one) => [one.route.service, one.why])).toEqual([
    ['web', ['it matches; a more specific path has */api']],
    ['a', ['there is no header x-beta']],
    ['writes', ['the method is none of POST']],
    [
      'office',
      ['the path is not below /in', 'the client is not within 10.0.0.0/8 (its address is not known)'],
    ],
  ]);
});

test.each([
  ['POST takes another', '/api', { method: 'POST' }, 'writes'],
  ['a header, whatever its case', 'http://a.test/api', { headers: [['X-Beta', ' yes ']] }, 'a'],
  [
    'a Host header in place of an authority',
    '/api',
    {
      headers: [
        ['Host', 'a.test'],
        ['X-Beta', 'yes'],
      ],
    },
    'a',
  ],
  ['a client', '/in', { client: '10.1.2.3' }, 'office'],
  ['another client', '/in', { client: '192.0.2.1' }, 'web'],
  ['no path', 'http://b.test', {}, 'web'],
  ['a query without a path', 'http://b.test?x', {}, 'web'],
] as const)('%s', (_, url, more, service) => {
  expect(answer(url, more).route?.service).toBe(service);
});

test('nothing takes it: there is no route, and the nearest others say why', () => {
  const few = { ...buildEncoded(buildRoutes([ROUTES[3] as Route])), epoch: 1, generation: 1, at: '' };
  const tested = testRoute(
    { published: new Map([['@routes', few]]) },
    { method: 'GET', url: '/', headers: [], client: null },
  );
  expect(tested).toMatchObject({ ok: true, value: { route: null, why: [] } });
  expect(tested.ok && tested.value.others[0]?.why).toEqual([
    'the host is not a.test',
    'there is no header x-beta',
  ]);
});

test.each(['ftp://a', 'a.test/x', '/%', 'http://a/..'])('%s is no URL that a gateway takes', (url) => {
  expect(asked(url)).toMatchObject({ ok: false, error: { code: 'invalid_request', field: 'query.url' } });
});
