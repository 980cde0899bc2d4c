import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS } from '../model/latency.js';
import { parseStats } from './traffic.js';

const contract = (name: string): string =>
  readFileSync(new URL(`../../../docs/contract/examples/${name}.json`, import.meta.url), 'utf8');
const example = contract('stats');

it('knows the buckets of the contract', () => {
  const { bounds_ms } = JSON.parse(contract('latency_buckets')) as { bounds_ms: readonly number[] };
  expect(LATENCY_BOUNDS_MS).toEqual(bounds_ms);
});

it('reads what the contract shows', () => {
  const buckets = Array<number>(44).fill(0).with(6, 1_100).with(7, 97).with(43, 1);
  expect(parseStats('gw-1', example)).toEqual({
    ok: true,
    value: {
      gateway: 'gw-1',
      boot: '6f1c2a9e4b7d8035',
      seq: 812,
      services: { orders: { v1: { requests: 1200, errors: 3, ms: 8400, buckets } } },
    },
  });
});

it('reads what limits did of late', () => {
  const limits = {
    seconds: 62,
    services: {
      orders: {
        all: { admitted: 50, delayed: 0, refused: 450 },
        'per-client': { admitted: 480, delayed: 7, refused: 20 },
      },
    },
  };
  expect(parseStats('gw-1', contract('stats_limits'))).toEqual({
    ok: true,
    value: { gateway: 'gw-1', boot: '6f1c2a9e4b7d8035', seq: 813, services: {}, limits },
  });
  for (const wrong of ['-1', '0.5', '"1"', 'null'])
    expect(parseStats('gw-1', contract('stats_limits').replace('450', wrong)).ok).toBe(false);
});

it.each([
  ['no JSON', 'gw-1', '{'],
  ['another name', 'gw-2', example],
  ['another version', 'gw-1', example.replace('"v":1', '"v":2')],
  ['a bucket that is none', 'gw-1', example.replace('[44,1]', '[45,1]')],
  ['a bucket without a count', 'gw-1', example.replace('[44,1]', '[44]')],
  ['no buckets', 'gw-1', example.replace(',"latency_ms_buckets":[[7,1100],[8,97],[44,1]]', '')],
  ['no versions', 'gw-1', example.replace('"versions"', '"version"')],
  ['services that are a list', 'gw-1', example.replace(/"services".*$/, '"services":[]}')],
  ['a negative count', 'gw-1', example.replace('1200', '-1')],
  ['half a count', 'gw-1', example.replace('1200', '0.5')],
  ['an endless count', 'gw-1', example.replace('1200', '1e999')],
  ['an endless sum', 'gw-1', example.replace('8400', '1e999')],
])('refuses %s', (_name, id, text) => {
  expect(parseStats(id, text).ok).toBe(false);
});
