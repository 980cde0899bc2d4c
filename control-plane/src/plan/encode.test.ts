import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONTRACTS } from '../model/contract.js';
import type { Peer, PeerState } from '../model/set.js';
import { parseDocument } from '../redis/documents.js';
import { buildSet } from '../testing/builders.js';
import { encode } from './encode.js';

const STATES: readonly PeerState[] = ['up', 'suspect', 'draining', 'unready', 'isolated', 'cut', 'gone'];

const peer = fc
  .record({
    host: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::7'),
    port: fc.integer({ min: 1, max: 65_535 }),
    version: fc.constantFrom('', 'v1', 'v2'),
    weight: fc.constantFrom(0, 1, 100, 1_000_000),
    down: fc.boolean(),
    state: fc.constantFrom(...STATES),
    named: fc.boolean(),
    more: fc.constantFrom({}, { zone: 'a' }, { backup: true }, { zone: 'b', keep_sticky: true }),
  })
  .map(({ host, port, named, more, ...rest }): Peer => {
    const address = host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
    return { id: named ? `i-${String(port)}` : address, host, port, ...rest, ...more };
  });
const set = fc
  .record({
    peers: fc.uniqueArray(peer, { selector: ({ id }) => id, maxLength: 6 }),
    timeouts: fc.constantFrom(
      { connect_ms: 500, send_ms: 60_000, read_ms: 60_000 },
      { connect_ms: 501, send_ms: 60_000, read_ms: 7, total_ms: 9 },
    ),
    retry: fc.constantFrom({ tries: 2 }, { tries: 1 }, { tries: 2, on: 'server_error' as const }),
    health: fc.constantFrom(
      { max_fails: 3, fail_timeout_ms: 10_000 },
      { max_fails: 0, fail_timeout_ms: 10_000, check: { type: 'http' as const } },
      { max_fails: 3, fail_timeout_ms: 1, check: { type: 'tcp' as const, fall: 9 } },
    ),
    upstream: fc.constantFrom(null, { scheme: 'grpc' as const }, { scheme: 'https' as const, tls: 'inside' }),
  })
  .map(({ upstream, ...rest }) => buildSet({ ...rest, ...(upstream === null ? {} : { upstream }) }));

test('what is written in any version is read back as the same set', () => {
  fc.assert(
    fc.property(set, (one) => {
      for (const contract of CONTRACTS)
        expect(parseDocument(encode(one, contract).payload)).toEqual({ ok: true, value: one });
    }),
  );
});

test('a set that differs has other bytes, in every version', () => {
  fc.assert(
    fc.property(set, set, (one, other) => {
      const [same, ...versions] = [1, ...CONTRACTS].map(
        (contract) => encode(one, contract as 1 | 2).hash === encode(other, contract as 1 | 2).hash,
      );
      expect(versions.every((equal) => equal === same)).toBe(true);
    }),
  );
});

test('version 2 of a thousand instances with nothing special is half as long', () => {
  const peers = Array.from({ length: 1_000 }, (_, n): Peer => {
    const host = `10.0.${String(n >> 8)}.${String(n & 255)}`;
    return {
      ...{ id: `${host}:8080`, host, port: 8080, version: 'v1', weight: 100, down: false, state: 'up' },
    };
  });
  const [first, second] = CONTRACTS.map((contract) => encode(buildSet({ peers }), contract).payload.length);
  expect({ first, second }).toMatchObject({ first: 110_333, second: 48_594 });
});
