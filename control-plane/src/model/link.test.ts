import { expect, test } from 'vitest';
import { worseLink } from './link.js';
import type { LinkState } from './ports.js';

const link = (state: LinkState['state'], detail = ''): LinkState => ({ state, since: 0, detail });

test.each([
  ['connecting', 'degraded', 'connecting'],
  ['degraded', 'connecting', 'connecting'],
  ['connected', 'degraded', 'degraded'],
  ['degraded', 'connected', 'degraded'],
  ['connecting', 'connected', 'connecting'],
] as const)('of %s and %s the worse is %s', (one, other, worse) => {
  expect(worseLink(link(one), link(other)).state).toBe(worse);
});

test('of two alike it is the first', () => {
  expect(worseLink(link('degraded', 'first'), link('degraded', 'second')).detail).toBe('first');
});
