import { expect, it } from 'vitest';
import { NO_INTENT, type Decided, type IntentRecord, type OperationRecord } from '../model/intent.js';
import { buildRelease } from '../testing/releases.js';
import { forgettableAt, releasesForgettableAt } from './forget.js';

const AT = '2026-05-01T12:00:00Z';
const LATER = '2026-05-01T13:00:00Z';
const ann: Decided = { by: 'ann', reason: '', at: AT };
const OP: OperationRecord = {
  ...{ id: 'op-1', kind: 'drain', instances: ['a'], by: 'ann', reason: '', at: AT, on_timeout: 'wait' },
  ...{ result: 'drained', ended_at: LATER },
};
const { result: _result, ended_at: _ended, ...RUNNING } = OP;
const event = { at: AT, event: 'drained', by: 'controller', message: 'drained' };

it('counts from the last thing that happened', () => {
  expect(forgettableAt({ ...NO_INTENT, events: [event], ops: [OP] }, 1_000)).toBe(Date.parse(LATER) + 1_000);
  expect(forgettableAt(NO_INTENT, 1_000)).toBe(1_000);
});

it('releases count from the end of the last one, and never while one runs', () => {
  const ended = buildRelease({ state: 'succeeded', ended_at: LATER });
  expect(releasesForgettableAt({ current: null, history: [ended] }, 1_000)).toBe(Date.parse(LATER) + 1_000);
  const current = { service: 'shop', record: buildRelease(), etag: '' };
  expect(releasesForgettableAt({ current, history: [ended] }, 1_000)).toBe(Infinity);
});

it.each<[string, Partial<IntentRecord>]>([
  ['a route', { spec: { routes: [{ host: '*', path: '/' }] } }],
  ['an isolation', { instances: { a: { ...ann, state: 'isolated' } } }],
  ['shares', { versions: { v1: 100 } }],
  ['a freeze', { freeze: ann }],
  ['a hold', { hold: { ...ann, expires: LATER } }],
  ['an acceptance that is not carried out', { accepted: { ...ann, instances: { a: '' } } }],
  ['a drain that runs', { ops: [RUNNING] }],
  ['a drain that may still be proven', { ops: [{ ...OP, result: 'unproven' }] }],
])('%s is never forgotten', (_, decided) => {
  expect(forgettableAt({ ...NO_INTENT, events: [event], ...decided }, 1_000)).toBe(Infinity);
});
