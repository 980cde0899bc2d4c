import { expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import { buildRegistration } from '../testing/builders.js';
import { compileService } from './compile.js';
import type { ServiceMembers } from './membership.js';
import { sharesByVersion } from './traffic.js';

const fleet = (ready: Readonly<Record<string, boolean>>): ServiceMembers =>
  new Map(
    Object.entries(ready).map(([version, is]) => [
      version,
      {
        registration: buildRegistration({ id: version, version, ready: is }),
        ...{ presence: 'present' as const, since: 0, vanished_at: null },
      } as never,
    ]),
  );
const record = (more: Partial<IntentRecord> = {}): IntentRecord => ({
  ...NO_INTENT,
  versions: { v2: 100 },
  fallback: 'v1',
  ...more,
});

test.each<[string, IntentRecord, Readonly<Record<string, boolean>>, Readonly<Record<string, number>>]>([
  ['the version with the share serves', record(), { v1: true, v2: true }, { v2: 100 }],
  ['nobody of it is ready: the version before does', record(), { v1: true, v2: false }, { v1: 100 }],
  ['nobody of it is there', record(), { v1: true }, { v1: 100 }],
  ['a version that was never released does not', record(), { v3: true, v2: false }, {}],
  ['neither has anybody', record(), { v1: false, v2: false }, {}],
  [
    'one of two with a share is enough',
    record({ versions: { v2: 50, v3: 50 } }),
    { v1: true, v3: true },
    { v3: 100 },
  ],
  ['it was turned off', record({ spec: { version_fallback: false } }), { v1: true, v2: false }, {}],
  ['no shares', record({ versions: {} }), { v1: true, v2: true }, { v1: 50, v2: 50 }],
])('%s', (_name, decided, ready, shares) => {
  const { set, fallback } = compileService('shop', fleet(ready), decided, 0);
  expect(sharesByVersion(set.peers)).toEqual(shares);
  expect(fallback).toBe(shares['v1'] === 100 ? 'v1' : null);
});
