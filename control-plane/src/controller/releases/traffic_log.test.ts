import { expect, it } from 'vitest';
import type { GatewayTraffic } from '../../model/release_ports.js';
import { buildCounts as counts } from '../../testing/releases.js';
import { TrafficLog } from './traffic_log.js';

const of = (
  gateway: string,
  boot: string,
  v1: number,
  v2 = 0,
  seq: number | null = null,
): GatewayTraffic => ({
  gateway,
  boot,
  seq,
  services: { shop: { v1: counts(v1), v2: counts(v2, v2) }, other: { v1: counts(999) } },
});
const SHOP = new Set(['shop']);

it('adds up what gateways count while it looks, and nothing from before', () => {
  const log = new TrafficLog();
  expect(log.totals('shop')).toBe(null);
  log.take([of('g1', 'a', 1_000), of('g2', 'a', 50)], SHOP, 0);
  expect(log.totals('shop')).toEqual({});
  log.take([of('g1', 'a', 1_010, 3), of('g2', 'a', 55)], SHOP, 1_000);
  expect(log.totals('shop')).toEqual({ v1: counts(15), v2: counts(3, 3) });
  // One gateway has started again, another one is heard for the first time, one says nothing.
  log.take([of('g1', 'b', 7), of('g3', 'a', 400)], SHOP, 2_000);
  expect(log.totals('shop')).toEqual({ v1: counts(22), v2: counts(3, 3) });
  log.take([of('g2', 'a', 60)], SHOP, 3_000);
  expect(log.totals('shop')).toEqual({ v1: counts(27), v2: counts(3, 3) });
  expect(log.totals('other')).toBe(null);
});

it('looks back as far as it is asked to', () => {
  const log = new TrafficLog();
  for (let second = 0; second <= 14; second += 1)
    log.take([of('g1', 'a', 10 * second)], SHOP, 1_000 * second);
  expect(log.recent('shop', 4_000)?.['v1']).toEqual(counts(100));
  expect(log.recent('shop', 13_500)?.['v1']).toEqual(counts(10));
  expect(log.recent('shop', -5)?.['v1']).toEqual(counts(140));
  // Nothing was read since then.
  expect(log.recent('shop', 14_500)).toBe(null);
});

it('counts nothing of what a gateway adds up while it is cut off; one that is idle is not silent', () => {
  const log = new TrafficLog();
  const read = (second: number, seq: number, v2: number): void => {
    log.take([of('g1', 'a', 0, v2, seq)], SHOP, 1_000 * second);
  };
  for (const second of [0, 1, 2]) read(second, second, 10);
  // Idle for ten seconds, then three requests.
  for (let second = 3; second <= 12; second += 1) read(second, second, 10);
  read(13, 13, 13);
  expect(log.totals('shop')?.['v2']).toEqual(counts(3, 3));
  // Cut off for a minute: the same word is read again and again, then one with a minute's failures.
  for (let second = 14; second <= 73; second += 1) read(second, 13, 13);
  read(74, 74, 613);
  expect(log.totals('shop')?.['v2']).toEqual(counts(3, 3));
  expect(log.recent('shop', 64_000)?.['v2']).toEqual(counts(0));
  read(75, 75, 614);
  expect(log.totals('shop')?.['v2']).toEqual(counts(4, 4));
});

it('knows which versions were counted before it looked', () => {
  const log = new TrafficLog();
  log.take([of('g1', 'a', 10), of('g2', 'a', 10, 3)], SHOP, 0);
  log.take([of('g3', 'a', 10), of('g2', 'a', 10, 4)], SHOP, 1_000);
  expect([log.hasCountedBefore('shop', 'v2'), log.hasCountedBefore('shop', 'v3')]).toEqual([true, false]);
  expect(log.hasCountedBefore('other', 'v1')).toBe(false);
  const fresh = new TrafficLog();
  fresh.take([of('g1', 'a', 10)], SHOP, 0);
  fresh.take([of('g1', 'a', 10, 5)], SHOP, 1_000);
  expect(fresh.hasCountedBefore('shop', 'v2')).toBe(false);
});

it('of a service that is counted from later on it knows the same', () => {
  const log = new TrafficLog();
  log.take([of('g1', 'a', 10, 500, 1)], new Set(['other']), 0);
  log.take([of('g1', 'a', 10, 500, 2)], new Set(['other', 'shop']), 1_000);
  expect([log.hasCountedBefore('shop', 'v2'), log.hasCountedBefore('shop', 'v3')]).toEqual([true, false]);
  expect(log.totals('shop')).toEqual({ v1: counts(0), v2: counts(0) });
});

it('counts nothing twice when Redis has lost its newest writes', () => {
  const log = new TrafficLog();
  for (let second = 0; second <= 30; second += 1)
    log.take([of('g1', 'a', 100 * second, 0, second)], SHOP, 1_000 * second);
  log.take([of('g1', 'a', 1_000, 0, 10)], SHOP, 31_000);
  log.take([of('g1', 'a', 3_200, 0, 32)], SHOP, 32_000);
  expect(log.totals('shop')?.['v1']).toEqual(counts(3_200));
});
