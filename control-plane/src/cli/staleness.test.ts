import { expect, it } from 'vitest';
import { staleLine } from './staleness.js';

it.each([
  [undefined, null],
  ['', null],
  ['kafka=yesterday', null],
  ['constructor=x', null],
  [
    'zookeeper=2026-05-01T12:00:00.000Z',
    'warning: ZooKeeper has not answered since 2026-05-01T12:00:00.000Z: registrations and intents are shown as they were',
  ],
  [
    'zookeeper=A, redis=B',
    'warning: ZooKeeper has not answered since A: registrations and intents are shown as they were; ' +
      'Redis has not answered since B: what gateways report is shown as it was',
  ],
])('%s', (header, line) => {
  expect(staleLine(header)).toBe(line);
});
