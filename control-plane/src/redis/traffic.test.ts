import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseStats } from './traffic.js';

const example = readFileSync(new URL('../../../docs/contract/examples/stats.json', import.meta.url), 'utf8');

it('reads what the contract shows', () => {
  expect(parseStats('gw-1', example)).toEqual({
    ok: true,
    value: {
      gateway: 'gw-1',
      boot: '6f1c2a9e4b7d8035',
      services: { orders: { v1: { requests: 1200, errors: 3, ms: 8400 } } },
    },
  });
});

it.each([
  ['no JSON', 'gw-1', '{'],
  ['another name', 'gw-2', example],
  ['another version', 'gw-1', example.replace('"v":1', '"v":2')],
  ['a negative count', 'gw-1', example.replace('1200', '-1')],
])('refuses %s', (_name, id, text) => {
  expect(parseStats(id, text).ok).toBe(false);
});
