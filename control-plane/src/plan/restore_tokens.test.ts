import { expect, test } from 'vitest';
import { buildToken } from '../testing/tokens.js';
import { restoredTokens, type TokenFacts } from './restore_tokens.js';

const made = '2026-05-01T12:00:00.000Z';
const [before, after] = ['2026-05-01T11:00:00.000Z', '2026-05-01T13:00:00.000Z'];
const ci = buildToken({ name: 'ci', at: made });
const stored = (...records: readonly (typeof ci)[]) =>
  new Map(records.map((record) => [record.name, { record, etag: `e-${record.name}` }]));
const named = (...records: readonly (typeof ci)[]) => new Map(records.map((one) => [one.name, one]));
const revoked = (at: string) => new Map([['token ci', { at, by: 'bob' }]]);
const FACTS: TokenFacts = {
  ...{ copied: named(ci), found: new Map(), before: null, isLost: false },
  ...{ revoked: new Map(), prune: false },
};
const lines = (facts: Partial<TokenFacts>) =>
  restoredTokens({ ...FACTS, ...facts }).changes.map(({ field, from, to }) => `${field}: ${from} → ${to}`);
const validOf = (facts: Partial<TokenFacts>) => [...restoredTokens({ ...FACTS, ...facts }).valid.keys()];

test('a token that is missing comes back by its name, and nothing that proves it is shown', () => {
  const { edits, changes } = restoredTokens(FACTS);
  expect(edits).toEqual([{ name: 'ci', etag: null, record: ci }]);
  expect(changes).toEqual([
    { service: '', instance: null, field: 'token ci', from: 'none', to: 'viewer of *' },
  ]);
  expect(JSON.stringify(changes)).not.toMatch(/0000|1111|0011/);
  expect(lines({ found: stored(ci) })).toEqual([]);
});

test.each([
  ['revoked after it was made', revoked(after), []],
  ['revoked at the moment', revoked(made), []],
  ['made again after that', revoked(before), ['ci']],
])('%s', (_, those, expected) => {
  expect(validOf({ revoked: those })).toEqual(expected);
  if (expected.length > 0) return;
  const at = those.get('token ci')?.at ?? '';
  expect(lines({ revoked: those })).toEqual([
    `token ci: viewer of *: it was revoked by bob at ${at} → left out`,
  ]);
});

test('of two tokens of one name the one that was made later is valid, and it is said that it is another one', () => {
  const newer = buildToken({ name: 'ci', at: after, id: 'f'.repeat(16) });
  expect(lines({ found: stored(newer) })).toEqual([]);
  expect(restoredTokens({ ...FACTS, found: stored(newer) }).valid.get('ci')).toBe(newer);
  expect(lines({ copied: named(newer), found: stored(ci) })).toEqual([
    'token ci: viewer of * → another one, viewer of *',
  ]);
});

test('after a loss what ZooKeeper has, and is known to be revoked, is revoked; without a loss it is right', () => {
  const facts = { copied: named(), found: stored(ci), revoked: revoked(after) };
  expect(lines({ ...facts, isLost: true })).toEqual(['token ci: viewer of * → none']);
  expect(lines(facts)).toEqual([]);
});

test('what was valid before a loss that was seen is valid after it, whatever a copy says', () => {
  const other = buildToken({ name: 'other', at: made });
  const facts = { before: stored(other), found: stored(), isLost: true };
  expect(validOf(facts)).toEqual(['other']);
  expect(lines(facts)).toEqual([
    'token ci: viewer of *: it was not valid any more before the loss → left out',
    'token other: none → viewer of *',
  ]);
});

test('a certificate is one token', () => {
  const one = buildToken({ name: 'one', certificate: 'cn', verifier: null });
  const two = { ...one, name: 'two' };
  expect(lines({ copied: named(one), found: stored(two) })).toEqual([
    'token one: viewer of *: its certificate is that of another token → left out',
  ]);
  expect(validOf({ copied: named(one, two) })).toEqual(['one']);
});

test('what the copy has not goes if it is pruned, and the copy has tokens at all', () => {
  const other = buildToken({ name: 'other' });
  const found = stored(ci, other);
  expect(lines({ found })).toEqual([]);
  expect(lines({ found, prune: true })).toEqual(['token other: viewer of * → none']);
  expect(lines({ found, prune: true, copied: null })).toEqual([]);
});
