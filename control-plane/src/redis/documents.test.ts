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

test('members that the contract lacks are dropped, inside sections too', () => {
  const set = buildSet();
  const more = {
    ...set,
    balancer: { ...set.balancer, mood: 'good' },
    health: { ...set.health, check: { type: 'tcp', depth: 3 } },
    peers: [{ ...buildPeer(), zone: 'a', colour: 'red' }],
  };
  expect(parseDocument(JSON.stringify(more))).toEqual({
    ok: true,
    value: buildSet({
      health: { ...set.health, check: { type: 'tcp' } },
      peers: [buildPeer({ zone: 'a' })],
    }),
  });
});

/** A set of version 2. */
const lean = (more: object): string =>
  JSON.stringify({ v: 2, service: 'shop', peers: [{ host: '10.0.0.1', port: 80 }], ...more });

test.each([
  ['text', /is not JSON/, 'peers'],
  ['a number', /object/, '7'],
  ['another version', /^v: /, JSON.stringify({ ...buildSet(), v: 3 })],
  ['a tombstone of version 2', /^v: /, JSON.stringify({ ...buildTombstone(), v: 2 })],
  ['routes of version 3', /^v: /, JSON.stringify({ ...buildRoutes(), v: 3 })],
  ['version 2 without peers', /^v: /, JSON.stringify({ v: 2, service: 'shop' })],
  ['version 2 with a section of null', /^retry: /, lean({ retry: null })],
  ['version 2 with peers of null', /^peers: /, lean({ peers: null })],
  ['version 2 with a peer of null', /^peers.0: /, lean({ peers: [null] })],
  ['version 2 with a peer without a host', /^peers.0.id: /, lean({ peers: [{ port: 80 }] })],
  [
    'version 2 with an id of null',
    /^peers.0.id: /,
    lean({ peers: [{ id: null, host: '10.0.0.1', port: 80 }] }),
  ],
  [
    'version 2 with an id that is the address of another',
    /same id/,
    lean({
      peers: [
        { host: '10.0.0.1', port: 80 },
        { id: '10.0.0.1:80', host: '10.0.0.2', port: 80 },
      ],
    }),
  ],
  [
    'a host name',
    /^peers.0.host: is not an IP/,
    JSON.stringify(buildSet({ peers: [buildPeer({ host: 'h' })] })),
  ],
  ['two of one id', /same id/, JSON.stringify(buildSet({ peers: [buildPeer(), buildPeer()] }))],
  [
    'no connect_ms',
    /^timeouts.connect_ms: is missing/,
    JSON.stringify({ ...buildSet(), timeouts: { send_ms: 1, read_ms: 1 } }),
  ],
  [
    'a check without a type',
    /^health.check.type: is missing/,
    JSON.stringify({ ...buildSet(), health: { ...buildSet().health, check: {} } }),
  ],
  [
    'an unknown scheme',
    /^upstream.scheme: must be one of http, https/,
    JSON.stringify({ ...buildSet(), upstream: { scheme: 'ftp' } }),
  ],
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
