import { expect, test } from 'vitest';
import type { RouteActions } from './route_actions.js';
import { routeContradictions } from './route.js';

const faults = (more: RouteActions): readonly string[] =>
  routeContradictions({ host: '*', path: '/', ...more }).map(({ path }) => path.join('.'));

test.each<[string, RouteActions]>([
  ['a scheme', { redirect: { scheme: 'https' } }],
  ['another location', { redirect: { host: 'b.test', path: '/x', status: 302 } }],
  ['a prefix that is taken away over TLS', { redirect: { scheme: 'https' }, rewrite_prefix: '/' }],
  ['CORS', { cors: { origins: ['https://a.test'], credentials: true } }],
  ['CORS for all', { cors: { origins: ['*'] } }],
  ['headers', { request_headers: { set: [{ name: 'authorization', value: 'x' }], remove: ['cookie'] } }],
])('a route may have %s', (_, more) => {
  expect(faults(more)).toEqual([]);
});

test.each<[string, RouteActions]>([
  ['redirect', { redirect: {} }],
  ['redirect', { redirect: { status: 301 } }],
  ['redirect.status', { redirect: { scheme: 'https', status: 304 } }],
  ['redirect.prefix', { redirect: { path: '/a', prefix: '/b' } }],
  ['rewrite_prefix', { redirect: { path: '/a' }, rewrite_prefix: '/b' }],
  ['cors.origins', { cors: { origins: [] } }],
  ['cors.credentials', { cors: { origins: ['*'], credentials: true } }],
  ...[
    'host',
    'content-length',
    'transfer-encoding',
    'x-request-id',
    'x-forwarded-for',
    'x-ebbgate-role',
    'connection',
  ].flatMap((name): [string, RouteActions][] => [
    ['request_headers.set.0.name', { request_headers: { set: [{ name, value: 'a' }] } }],
    ['request_headers.add.0.name', { request_headers: { add: [{ name, value: 'a' }] } }],
    ['response_headers.remove.1', { response_headers: { remove: ['a', name] } }],
  ]),
])('%s is refused: %j', (path, more) => {
  expect(faults(more)).toEqual([path]);
});
