import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildEntry } from '../testing/builders.js';
import { AUDIT_BOUNDS, boundedEntry, copyFor, MOST_CHANGES, pageOf, surplusPages } from './audit.js';

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at);

test('30 days of 1,000 changes are kept', () => {
  expect(AUDIT_BOUNDS.all).toBeGreaterThanOrEqual(30 * 1_000);
});

test('property: the newest records are kept, and not many more, whatever the bounds and wherever the numbers are', () => {
  const bounds = fc.record({ all: fc.integer({ min: 1, max: 400 }), page: fc.integer({ min: 1, max: 40 }) });
  fc.assert(
    fc.property(bounds, fc.nat(2_000), fc.nat(2_000), ({ all, page }, first, more) => {
      const of = { all, page, service: 1, undo: 1 };
      const last = first + more + 1;
      const pages = range(pageOf(first + 1, of), pageOf(last, of));
      const gone = new Set(surplusPages(pages, of));
      const kept = range(first + 1, last).filter((n) => !gone.has(pageOf(n, of)));
      const newest = range(Math.max(first + 1, last - all + 1), last);
      expect(kept.slice(-newest.length)).toEqual(newest);
      expect(kept.length).toBeLessThanOrEqual(all + 2 * page);
    }),
  );
});

test('property: page after page goes, one at a time, for as long as changes come', () => {
  const of = { all: 50, page: 10, service: 1, undo: 1 };
  let pages: readonly number[] = [];
  for (let n = 1; n <= 1_000; n += 1) {
    if (!pages.includes(pageOf(n, of))) pages = [...pages, pageOf(n, of)];
    pages = pages.filter((one) => one !== surplusPages(pages, of)[0]);
    expect(pages.length).toBeLessThanOrEqual(7);
    expect(pages[0]! * of.page).toBeLessThanOrEqual(Math.max(0, n - of.all + 1));
  }
});

test('a record is bounded, and says how much is left out', () => {
  const change = (service: string) => ({ service, instance: 'a', field: 'state', from: 'up', to: 'down' });
  const services = range(1, 2_100).map((n) => `s-${String(n)}`);
  const entry = boundedEntry(buildEntry({ services, changes: services.map(change) }));
  expect([entry.services.length, entry.changes.length, entry.more_changes]).toEqual([
    2_000,
    MOST_CHANGES,
    2_070,
  ]);
  const copy = copyFor('s-7', { n: 1, ...entry });
  expect(copy).toMatchObject({ services: ['s-7'], changes: [change('s-7')], more_changes: 0 });
});

test('texts that are made of many are cut: a thousand routes, or ids', () => {
  const long = 'x'.repeat(100_000);
  const change = { service: 'shop', instance: null, field: 'routes', from: long, to: 'none' };
  const entry = boundedEntry(
    buildEntry({ object: long, changes: [change], overruled: Array(900).fill('no') }),
  );
  expect(JSON.stringify(entry).length).toBeLessThan(2_500);
  expect([entry.object.at(-1), entry.changes[0]?.from.at(-1), entry.changes[0]?.to]).toEqual([
    '…',
    '…',
    'none',
  ]);
  const other = buildEntry();
  expect(boundedEntry(other)).toEqual(other);
});
