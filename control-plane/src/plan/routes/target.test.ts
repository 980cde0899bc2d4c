import { expect, test } from 'vitest';
import { firstArgument, headerValue, routedHost, routedPath } from './target.js';

/* What nginx makes of the same targets is asked by e2e/routing.e2e.test.ts. */
test.each([
  ['/', '/'],
  ['/a/b?x=/../c', '/a/b'],
  ['/a#b', '/a'],
  ['//a///b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a/b/..', '/a/'],
  ['/a/b/.', '/a/b/'],
  ['/a//../b', '/b'],
  ['/%61%2Fb', '/a/b'],
  ['/a/%2e%2E/b', '/b'],
  ['/a%3Fb', '/a?b'],
  ['/a%252e', '/a%2e'],
  ['/a/..b', '/a/..b'],
  ['/%C3%A9', '/\xc3\xa9'],
  ['/a%23b%25', '/a#b%'],
])('%s is %s', (raw, path) => {
  expect(routedPath(raw)).toBe(path);
});

test.each(['', 'a', '*', '/..', '/a/../..', '/%', '/%g0', '/a%00b', '/%2e%2e'])('%j is refused', (raw) => {
  expect(routedPath(raw)).toBeNull();
});

test.each([
  ['Api.Example.com', 'api.example.com'],
  ['a.b:8080', 'a.b'],
  ['a.b.', 'a.b'],
  ['[FD00::1]:80', '[fd00::1]'],
])('the host %s is %s', (given, host) => {
  expect(routedHost(given)).toBe(host);
});

test.each([
  ['a=1&a=2', 'a', '1'],
  ['b=1', 'a', null],
  ['a', 'a', ''],
  ['&&a=', 'a', ''],
  ['%61=%20+%', 'a', '  %'],
  ['', '', null],
])('of %s the argument %s is %j', (query, name, value) => {
  expect(firstArgument(query, name)).toBe(value);
});

test('several lines of one header are one value', () => {
  const headers = [['a', '1'] as const, ['b', 'x'] as const, ['a', '2'] as const];
  expect([headerValue(headers, 'a'), headerValue(headers, 'c')]).toEqual(['1, 2', null]);
});
