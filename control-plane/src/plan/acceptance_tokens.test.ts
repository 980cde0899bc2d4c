import { expect, it } from 'vitest';
import { buildToken } from '../testing/tokens.js';
import { missingTokens, type LossFacts } from './acceptance.js';

const stored = (name: string, etag: string, by = 'ann') =>
  [name, { record: buildToken({ name, by }), etag }] as const;

it('exactly those tokens are valid after a loss that were: none is lost, none that was revoked comes back', () => {
  const record = (name: string, by?: string) => [name, stored(name, '', by)[1].record] as const;
  const known = new Map([record('same'), record('lost'), record('another', 'bob')]);
  const found = new Map([stored('same', 'x'), stored('another', 'y', 'eve'), stored('revoked', 'z')]);
  const facts = { tokens: { known, found } } as unknown as LossFacts;
  expect(missingTokens(facts)).toEqual([
    { name: 'another', etag: 'y', record: known.get('another') },
    { name: 'lost', etag: null, record: known.get('lost') },
    { name: 'revoked', etag: 'z', record: null },
  ]);
  expect(
    missingTokens({
      tokens: { known: new Map([...found].map(([name, one]) => [name, one.record])), found },
    } as unknown as LossFacts),
  ).toEqual([]);
});
