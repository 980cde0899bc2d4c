import { expect, test } from 'vitest';
import { buildEntry } from '../testing/builders.js';
import { restoredAudit, revocationsIn } from './restore_audit.js';

const record = (n: number, by = 'ann') => ({ n, ...buildEntry({ by, request_id: `r-${String(n)}` }) });
const records = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => record(from + at));

test('what is missing comes back once, and numbers go on behind it', () => {
  const copied = records(1, 20);
  expect(restoredAudit(copied, [], 0)).toEqual({
    missing: copied,
    goOnAfter: 20,
    changes: [{ service: '', instance: null, field: 'audit', from: 'missing', to: '20 records, 1 to 20' }],
  });
  const some = restoredAudit(copied, [...records(1, 18), ...records(20, 40)], 40);
  expect(some.missing.map(({ n }) => n)).toEqual([19]);
  expect(some.changes).toMatchObject([{ to: 'record 19' }]);
  expect(restoredAudit(copied, records(1, 40), 40)).toMatchObject({ missing: [], changes: [] });
  expect(restoredAudit([], records(1, 40), 40)).toMatchObject({ missing: [], changes: [] });
});

test('one number for two changes is another history: nothing of it is mixed in', () => {
  expect(restoredAudit(records(1, 20), [record(7, 'bob')], 9)).toMatchObject({
    missing: [],
    goOnAfter: 0,
    changes: [{ from: expect.stringMatching(/^20 records, 1 to 20 of another history: number 7/) as string }],
  });
});

test('what is older than is kept stays out', () => {
  expect(restoredAudit(records(1, 20), [], 32_010).missing.map(({ n }) => n)).toEqual(
    records(11, 20).map(({ n }) => n),
  );
});

test('a token is revoked by whatever took it away last', () => {
  const gone = (at: string, name: string, by: string, to = 'none') => ({
    ...record(1, by),
    at,
    changes: [{ service: '', instance: null, field: `token ${name}`, from: 'viewer of *', to }],
  });
  const found = revocationsIn([
    gone('2026-05-01T12:00:00Z', 'ci', 'ann'),
    gone('2026-05-01T11:00:00Z', 'ci', 'bob'),
    gone('2026-05-01T11:00:00Z', 'new', 'bob', 'viewer of *'),
  ]);
  expect([...found]).toEqual([['token ci', { at: '2026-05-01T12:00:00Z', by: 'ann' }]]);
});
