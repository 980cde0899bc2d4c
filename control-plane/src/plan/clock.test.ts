import { expect, it } from 'vitest';
import { checkClock, type ClockReading } from './clock.js';

const HOUR = 3_600_000;
const read = (zookeeper: number | null, redis: number | null, doubt_ms = 0): readonly ClockReading[] => [
  ...(zookeeper === null ? [] : [{ store: 'zookeeper' as const, ahead_ms: zookeeper, doubt_ms }]),
  ...(redis === null ? [] : [{ store: 'redis' as const, ahead_ms: redis, doubt_ms }]),
];

it.each<[string, readonly ClockReading[], string, number, RegExp]>([
  ['agree', read(0, 10), 'in_sync', 0, /^$/],
  ['are apart within the bound', read(-29_999, 30_000), 'in_sync', 0, /^$/],
  [
    'are apart within the bound and the doubt of a slow answer',
    read(31_000, null, 1_000),
    'in_sync',
    0,
    /^$/,
  ],
  ['say nothing', [], 'unknown', 0, /neither ZooKeeper nor Redis/],
  [
    'are both 2 h behind ours',
    read(-2 * HOUR, -2 * HOUR - 5),
    'out_of_sync',
    -2 * HOUR,
    /ZooKeeper's by 2h .* and from Redis's by 2h/,
  ],
  ['are both ahead of ours', read(HOUR, HOUR + 7), 'out_of_sync', HOUR, /\(it is behind\)/],
  ['differ, and ours is with Redis', read(-HOUR, 3), 'out_of_sync', 0, /ZooKeeper's by 1h/],
  ['differ, and ours is with ZooKeeper', read(3, HOUR), 'out_of_sync', 3, /Redis's by 1h/],
  ['all differ', read(-HOUR, 2 * HOUR), 'out_of_sync', 0, /and from/],
  ['are one only, and that differs', read(null, 40_000), 'out_of_sync', 40_000, /Redis's by 40s/],
])('clocks that %s', (_name, readings, state, correction_ms, detail) => {
  const verdict = checkClock(readings, 30_000);
  expect(verdict).toMatchObject({ state, correction_ms });
  expect(verdict.detail).toMatch(detail);
});
