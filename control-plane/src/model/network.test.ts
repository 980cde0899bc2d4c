import { expect, test } from 'vitest';
import { isWithinNetworks, overlap, parseNetwork, type Network } from './network.js';

const network = (text: string): Network => {
  const read = parseNetwork(text);
  if (read === null) throw new Error(`${text} is no network`);
  return read;
};

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.1.2.3', '10.1.2.3', true],
  ['0.0.0.0/0', '203.0.113.9', true],
  ['0.0.0.0/0', '::1', false],
  ['fd00:1::/32', 'fd00:1:2::3', true],
  ['fd00:1::/32', 'fd00:2::', false],
  ['::1', '0:0:0:0:0:0:0:1', true],
  ['10.0.0.0/8', '::ffff:10.0.0.1', true],
  ['::/0', '::ffff:10.0.0.1', false],
  ['10.0.0.3/31', '10.0.0.2', true],
])('%s has %s: %s', (range, address, is) => {
  expect(isWithinNetworks([network(range)], network(address))).toBe(is);
});

test('two networks overlap where one is in the other', () => {
  const pairs = [
    ['10.0.0.0/8', '10.1.0.0/16'],
    ['10.1.0.0/16', '10.2.0.0/16'],
    ['0.0.0.0/0', '::/0'],
  ] as const;
  expect(pairs.map(([a, b]) => overlap(network(a), network(b)))).toEqual([true, false, false]);
});
