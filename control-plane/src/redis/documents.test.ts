import { expect, test } from 'vitest';
import { buildPeer, buildRoutes, buildSet, buildTombstone } from '../testing/builders.js';
import { parseDocument } from './documents.js';

test.each([
  ['a set', buildSet()],
  ['an empty set', buildSet({ peers: [] })],
  ['a tombstone', buildTombstone()],
  ['the routes', buildRoutes()],
])('%s is read back with the same bytes', (_what, document) => {
  const parsed = parseDocument(JSON.stringify(document));
  expect(parsed.ok && JSON.stringify(parsed.value)).toBe(JSON.stringify(document));
});

test.each([
  ['text', /is not JSON/, 'peers'],
  ['a number', /object/, '7'],
  ['another version', /^v: /, JSON.stringify({ ...buildSet(), v: 2 })],
  [
    'a host name',
    /^peers.0.host: is not an IP/,
    JSON.stringify(buildSet({ peers: [buildPeer({ host: 'h' })] })),
  ],
  ['two of one id', /same id/, JSON.stringify(buildSet({ peers: [buildPeer(), buildPeer()] }))],
  ['half a tombstone', /^removed: /, JSON.stringify({ ...buildTombstone(), removed: false })],
  [
    'a route to nowhere',
    /^routes.0.service: /,
    JSON.stringify(buildRoutes([{ host: '*', path: '/', service: '' }])),
  ],
])('%s is refused', (_what, reason, payload) => {
  const parsed = parseDocument(payload);
  expect(parsed.ok).toBe(false);
  if (!parsed.ok) expect(parsed.error).toMatch(reason);
});
