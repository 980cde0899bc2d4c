import { expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import type { TruthRecords } from '../model/truth_copy.js';
import { pruned } from './prune.js';

const wall = Date.parse('2026-05-01T12:00:00Z');
const EMPTY: TruthRecords = {
  ...{ intents: new Map(), histories: new Map(), roster: new Map(), releases: new Map() },
  ...{ ended: [], freeze: null, tokens: null, consumers: null },
};
const by = { by: 'ann', reason: 'x', at: '2026-05-01T11:00:00Z' };
const intents = new Map(['cart', 'shop'].map((service) => [service, NO_INTENT]));
const present = {
  ...{ intents, histories: ['old'], roster: new Map(), running: new Set<string>() },
  freeze: { v: 1 as const, rev: 1, freeze: by, events: [] },
};
const goneOf = (records: Partial<TruthRecords>, skipped: readonly string[] = [], running: string[] = []) => {
  const copy = {
    records: { ...EMPTY, ...records },
    skipped: skipped.map((record) => ({ record, reason: 'damaged' })),
  };
  return pruned(copy, { ...present, running: new Set(running) }, new Map(), wall);
};

test('services and the freeze go that the document has not, and each is named', () => {
  const { services, freeze, changes } = goneOf({ intents: new Map([['shop', NO_INTENT]]) });
  expect([[...services], freeze]).toEqual([['cart', 'old'], true]);
  expect(changes.map(({ service, field, to }) => [service, field, to])).toEqual([
    ['cart', 'record', 'removed'],
    ['old', 'record', 'removed'],
    ['*', 'freeze', 'none'],
  ]);
});

test('what the document has and cannot be read stays, and so does a service whose release runs', () => {
  const { services, freeze, changes } = goneOf(
    {},
    ['intents/shop', 'freezes/freeze', 'histories/old'],
    ['cart'],
  );
  expect([[...services], freeze]).toEqual([[], false]);
  expect(changes).toEqual([
    expect.objectContaining({ service: 'cart', from: 'not in the document: its release runs' }),
  ]);
});
