import { expect, test } from 'vitest';
import { NO_INTENT, type InstanceIntent, type IntentRecord } from '../model/intent.js';
import type { PlannedChange } from '../model/mutation.js';
import type { ReleaseTraffic } from '../model/release.js';
import { buildRegistration } from '../testing/builders.js';
import { diffRecords } from './diff.js';
import type { ServiceMembers } from './membership.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const FLEET: ServiceMembers = new Map(
  [
    ['a', 'v1', 100],
    ['b', 'v1', 100],
    ['c', 'v1', 200],
    ['d', 'v2', 100],
  ].map(([id, version, weight]) => [
    id as string,
    {
      registration: buildRegistration({ id, version, weight } as Parameters<typeof buildRegistration>[0]),
      presence: 'present',
      since: 0,
      vanished_at: null,
    } as never,
  ]),
);
const intent = (more: Partial<InstanceIntent>): InstanceIntent => ({
  ...{ by: 'ann', reason: '', at: '2026-05-01T11:00:00Z' },
  ...more,
});
const record = (more: Partial<IntentRecord>): IntentRecord => ({ ...NO_INTENT, ...more });
const spell = ({ instance, field, from, to }: PlannedChange): string =>
  `${instance ?? '-'} ${field}: ${from} → ${to}`;

const SHARED = { versions: { v1: 80, v2: 20 } };
const RELEASE: ReleaseTraffic = {
  release: 'rel-1',
  stable: 'v1',
  shares: { v1: 75, v2: 25 },
  draining: [],
  batch: 'batch 1',
};

test.each<[string, IntentRecord, IntentRecord, ReleaseTraffic | null, readonly string[]]>([
  [
    'a weight by hand',
    NO_INTENT,
    record({ instances: { a: intent({ weight: 600 }) } }),
    null,
    [
      'a weight: 100 → 600',
      'a traffic: 20 % → 60 %',
      'b traffic: 20 % → 10 %',
      'c traffic: 40 % → 20 %',
      'd traffic: 20 % → 10 %',
    ],
  ],
  [
    'a drain while shares are in force: who divides the share is reported in percent, and the other version is not reported',
    record(SHARED),
    record({ ...SHARED, instances: { b: intent({ state: 'draining' }) } }),
    null,
    [
      'a traffic: 20 % → 26.7 %',
      'b state: up → draining',
      'b traffic: 20 % → 0 %',
      'c traffic: 40 % → 53.3 %',
    ],
  ],
  [
    'a drain while a release runs',
    NO_INTENT,
    record({ instances: { c: intent({ state: 'draining' }) } }),
    RELEASE,
    [
      'a traffic: 18.8 % → 37.5 %',
      'b traffic: 18.8 % → 37.5 %',
      'c state: up → draining',
      'c traffic: 37.5 % → 0 %',
    ],
  ],
  [
    'shares by hand',
    NO_INTENT,
    record({ versions: { v1: 100 } }),
    null,
    [
      'a traffic: 20 % → 25 %',
      'b traffic: 20 % → 25 %',
      'c traffic: 40 % → 50 %',
      'd traffic: 20 % → 0 %',
      '- versions: none → v1=100',
    ],
  ],
  ['nothing', record(SHARED), record(SHARED), null, []],
])('%s', (_name, before, after, release, lines) => {
  expect(diffRecords('shop', FLEET, before, after, NOW, release).map(spell)).toEqual(lines);
});
