import { expect, test } from 'vitest';
import { buildRelease } from '../testing/releases.js';
import { encodeReleaseRecord, parseReleaseRecord } from './release_record.js';

const counts = { requests: 3, errors: 1, ms: 7.5 };
const FULL = buildRelease({
  strategy: {
    kind: 'weighted',
    steps: [{ weight: 5 }, { pause: {} }, { pause: { for_ms: 9 } }, { weight: 100 }],
  },
  state: 'paused',
  paused: { cause: 'gate', by: 'controller', message: 'x', state: 'progressing', phase: 'soaking' },
  window: {
    watcher: 'run-1',
    last: { stable: counts, target: counts },
    sum: { stable: counts, target: counts },
  },
  verbs: [{ key: 'k', request: 'r' }],
  events: [{ n: 1, at: '2026-05-01T12:00:00.000Z', event: 'started', by: 'ann', message: '' }],
});

test('what is written is read', () => {
  expect(parseReleaseRecord(encodeReleaseRecord(FULL))).toEqual({ ok: true, value: FULL });
});

test.each([
  ['another schema', { ...FULL, v: 2 }, /schema 2 is not known/],
  ['no schema', { ...FULL, v: undefined }, /schema missing is not known/],
  ['a member more', { ...FULL, mirror: true }, /mirror/],
  ['a member less', { ...FULL, step: undefined }, /step/],
  ['an unknown state', { ...FULL, state: 'guessing' }, /state/],
  ['shares that do not sum to 100', { ...FULL, shares: { v1: 90 } }, /shares: does not sum to 100/],
  ['an unknown step', { ...FULL, strategy: { kind: 'weighted', steps: [{ mirror: 5 }] } }, /strategy/],
])('refuses %s', (_name, record, error) => {
  expect(parseReleaseRecord(Buffer.from(JSON.stringify(record)))).toMatchObject({
    ok: false,
    error: expect.stringMatching(error) as string,
  });
});

test('refuses what is not JSON', () => {
  expect(parseReleaseRecord(Buffer.from('{'))).toEqual({ ok: false, error: 'not JSON' });
});
