import { expect, it } from 'vitest';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeService } from '../testing/resources.js';
import { createMetrics } from './metrics.js';

const HOLD = {
  ...{ kind: 'suspect' as const, instances: ['a', 'b'], since: '2026-05-01T12:00:00Z' },
  ...{ until: '2026-05-01T12:01:00Z', by: null, reason: null, message: '' },
};
const lines = (page: string): readonly string[] =>
  page.split('\n').filter((line) => /^ebbgate_(hold_ends|held)/.test(line));

it('every hold has its end and how many it keeps; one that only somebody ends has none', async () => {
  const plane = new MemoryPlane();
  const last = { ...HOLD, kind: 'last' as const, until: null, instances: ['c'] };
  plane.serviceMap.set('shop', makeService({ service: 'shop', holds: [HOLD] }));
  plane.serviceMap.set('cart', makeService({ service: 'cart', holds: [last] }));
  const page = createMetrics(plane);
  expect([...lines(await page())].sort()).toEqual([
    'ebbgate_held_instances{service="cart",kind="last"} 1',
    'ebbgate_held_instances{service="shop",kind="suspect"} 2',
    'ebbgate_hold_ends_timestamp_seconds{service="cart",kind="last"} +Inf',
    `ebbgate_hold_ends_timestamp_seconds{service="shop",kind="suspect"} ${String(Date.parse(HOLD.until) / 1_000)}`,
  ]);
  plane.serviceMap.clear();
  expect(lines(await page())).toEqual([]);
});

it('a data loss is a hold of everything', async () => {
  const plane = new MemoryPlane();
  plane.serviceMap.clear();
  plane.ready = { ...plane.ready, data_loss: 'ZooKeeper has lost data' };
  expect(lines(await createMetrics(plane)())).toEqual([
    'ebbgate_hold_ends_timestamp_seconds{service="",kind="data_loss"} +Inf',
  ]);
});
