import { expect, test } from 'vitest';
import type { LimitCounts } from '../model/limit.js';
import type { GatewayTraffic } from '../model/release_ports.js';
import { describeLimits, limitNotes } from './describe_limits.js';
import { effectiveSpec } from './spec.js';

const LIMITS = effectiveSpec({
  limits: [
    { name: 'all', rate: '100/s' },
    { name: 'tried', rate: '5/s', mode: 'log', key: ['client_ip'] },
  ],
}).limits;

const at = (gateway: string, seconds: number, counts: Record<string, LimitCounts>): GatewayTraffic => ({
  ...{ gateway, boot: 'b', seq: 1, services: {} },
  limits: { seconds, services: { shop: counts } },
});
const counts = (admitted: number, refused: number): LimitCounts => ({ admitted, delayed: 0, refused });

test('what the gateways counted is added up; of which no gateway says anything is not 0', () => {
  const older: GatewayTraffic = { gateway: 'g-3', boot: 'b', seq: 1, services: {} };
  const traffic = [
    at('g-1', 62, { tried: counts(10, 5) }),
    at('g-2', 20, { tried: counts(1, 1), gone: counts(9, 9) }),
  ];
  expect(describeLimits('shop', LIMITS, [...traffic, older])).toEqual([
    {
      name: 'all',
      algorithm: 'token_bucket',
      scope: 'gateway',
      rate: '100/s',
      mode: 'enforce',
      recent: null,
    },
    {
      ...{ name: 'tried', algorithm: 'token_bucket', scope: 'gateway', rate: '5/s', mode: 'log' },
      recent: { admitted: 11, delayed: 0, refused: 6, seconds: 20, gateways: 2 },
    },
  ]);
  expect(describeLimits('cart', LIMITS, traffic).every(({ recent }) => recent === null)).toBe(true);
});

test('a note says what each limit did, or would have done', () => {
  const of = (traffic: readonly GatewayTraffic[]) => limitNotes(describeLimits('shop', LIMITS, traffic));
  expect(of([])).toEqual([]);
  expect(of([at('g-1', 60, { all: counts(30, 0), tried: counts(20, 10) })])).toEqual([
    'limit all as it is refused 0 of 30 requests in the last 60 s, at one gateway',
    'limit tried as it is would have refused 10 of 30 requests in the last 60 s, at one gateway',
  ]);
});
