import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkedSet, conditionOf, gaps } from './harness/checked_service.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { Workbench } from './harness/workbench.js';

/*
 * How many checks a gateway keeps up with: rates are measured, so nothing else may run.
 */

let bench: Workbench;
const started: FaultyInstance[] = [];

beforeAll(async () => {
  bench = await Workbench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});

async function start(service: string): Promise<FaultyInstance> {
  const one = await FaultyInstance.start(service);
  started.push(one);
  return one;
}

test('checks of forty targets that hang delay no other', async () => {
  const service = 'hanging';
  const [hanging, well] = [await start(service), await start(service)];
  hanging.checkMode = 'hanging';
  const crowd = Array.from({ length: 40 }, (_, i) => peer({ ...point(hanging), id: `hang-${i}` }));
  await bench.serve(service, [...crowd, peer(well)], checkedSet({ timeout_ms: 2_000, interval_ms: 500 }));
  await until('all of them are known', () => hanging.checks.length >= 60, { timeoutMs: 30_000 });
  well.forget();
  await until('six checks', () => well.checks.length >= 6, { timeoutMs: 4_000 });
  expect(Math.max(...gaps(well))).toBeLessThan(1_500);
});

test('checks of 2,000 instances every second are kept up with', async () => {
  const service = 'crowded';
  const fast = await start(service);
  const crowd = Array.from({ length: 2_000 }, (_, i) => peer({ ...point(fast), id: `fast-${i}` }));
  const checked = checkedSet({ type: 'tcp', interval_ms: 1_000, timeout_ms: 900 });
  await bench.serve(service, crowd, checked);
  await until('each was asked', () => fast.connections > 2_000);
  const [began, before] = [performance.now(), fast.connections];
  await until('six seconds of checks', () => fast.connections > before + 12_000, { timeoutMs: 40_000 });
  const perSecond = 12_000 / ((performance.now() - began) / 1_000);
  // A third is for machines that have something else to do.
  expect(perSecond).toBeGreaterThan(1_300);
  expect(await conditionOf(bench, fast)).toBe('healthy');
  await bench.serve(service, [], checked);
});

/** Where it is, under whatever name. */
function point({ host, port, version }: FaultyInstance): { host: string; port: number; version: string } {
  return { host, port, version };
}
