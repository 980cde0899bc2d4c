import { describe, expect, it, test } from 'vitest';
import type { ContractVersion } from '../model/contract.js';
import type { RosterEntry } from '../model/gateway.js';
import { buildWitnesses } from '../testing/builders.js';
import { chooseContract } from './choose_contract.js';

const NEW = { contracts: [1, 2] };
const OLD = { contracts: [1] };
const chosen = (
  heard: Parameters<typeof buildWitnesses>[0],
  more: Parameters<typeof buildWitnesses>[1] = {},
  most: ContractVersion = 2,
): unknown => chooseContract(buildWitnesses(heard, more), most);
const entry = (id: string, contracts?: readonly number[]): [string, RosterEntry] => [
  id,
  { id, boot: 'b', host: 'h', since: '2026-05-01T12:00:00Z', ...(contracts ? { contracts } : {}) },
];

test.each<[string, Parameters<typeof buildWitnesses>[0], object]>([
  ['all newer', { a: NEW, b: NEW }, { version: 2, limited_by: [], left_behind: [] }],
  ['one older', { a: NEW, b: OLD }, { version: 1, limited_by: ['b'], left_behind: [] }],
  ['all older', { a: OLD, b: OLD }, { version: 1, limited_by: ['a', 'b'], left_behind: [] }],
  [
    'one of the far future',
    { a: NEW, b: { contracts: [3, 4] } },
    { version: 2, limited_by: [], left_behind: ['b'] },
  ],
  ['all of the far future', { a: { contracts: [3] } }, { version: 1, limited_by: [], left_behind: ['a'] }],
  [
    'without a common one: what most understand',
    { a: { contracts: [2] }, b: OLD, c: { contracts: [2, 3] } },
    { version: 2, limited_by: [], left_behind: ['b'] },
  ],
  [
    'without a common one, equally many: the older',
    { a: { contracts: [2] }, b: OLD },
    { version: 1, limited_by: ['b'], left_behind: ['a'] },
  ],
  ['nobody', {}, { version: 1, limited_by: [], left_behind: [] }],
])('%s', (_what, heard, expected) => {
  expect(chosen(heard)).toEqual({ most: 2, ...expected });
});

describe('who counts', () => {
  it('a silent one, by what it said last', () => {
    const silent = buildWitnesses({ a: NEW, b: OLD }, { now: 3_600_000 });
    expect(chooseContract(silent, 2)).toMatchObject({ version: 1, limited_by: ['b'] });
  });

  it('one that this controller never heard, by what the roster remembers of it, and else as an old one', () => {
    const roster = (...entries: readonly [string, RosterEntry][]) => ({ roster: new Map(entries) });
    expect(chosen({ a: NEW }, roster(entry('b', [1, 2])))).toMatchObject({ version: 2, limited_by: [] });
    expect(chosen({ a: NEW }, roster(entry('b', [1])))).toMatchObject({ version: 1, limited_by: ['b'] });
    expect(chosen({ a: NEW }, roster(entry('b')))).toMatchObject({ version: 1, limited_by: ['b'] });
  });

  it('one that says more than the roster remembers, by its own word', () => {
    expect(chosen({ a: NEW }, { roster: new Map([entry('a', [1])]) })).toMatchObject({ version: 2 });
    expect(chosen({ a: OLD }, { roster: new Map([entry('a', [1, 2])]) })).toMatchObject({ version: 1 });
  });

  it('not one that has left, whatever it said', () => {
    expect(chosen({ a: NEW, b: OLD }, { left: new Map([['b', 5]]) })).toMatchObject({ version: 2 });
  });
});

it('goes no higher than it may', () => {
  expect(chosen({ a: NEW }, {}, 1)).toEqual({ version: 1, most: 1, limited_by: [], left_behind: [] });
  expect(chosen({ a: NEW, b: { contracts: [2] } }, {}, 1)).toEqual({
    ...{ version: 1, most: 1, limited_by: [], left_behind: ['b'] },
  });
});
