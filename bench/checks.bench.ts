import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { test } from 'vitest';
import type { ServiceSet } from '../control-plane/src/testkit.js';
import { cpuTime } from './harness/cpu_time.js';
import { steady } from './harness/drive.js';
import { Lab, type Subject } from './harness/lab.js';
import { manyPeers } from './harness/many.js';
import { median, quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const INSTANCES = 2_000;
const RATE = 1_000;
const SECONDS = 4;
const ROUNDS = 3;
const CHECKED = 'checked';

interface Window {
  readonly checksPerSecond: number;
  /** Of the only worker. */
  readonly cpuMsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

test('what checks of 2,000 instances every second cost, and whether traffic feels them', async () => {
  await using lab = await Lab.open();
  const gateway = await lab.ebbgate('Ebbgate', { access_log: 'off' });
  const { publishing } = lab.workbench;
  const publish = async (health: Partial<ServiceSet>): Promise<void> => {
    await lab.acked(await publishing.set(CHECKED, manyPeers(lab.ports, INSTANCES), health));
    await pause(3_000); // everybody's turn has come
  };
  const checked = (interval_ms: number): Partial<ServiceSet> => {
    const check = { type: 'http', path: '/', interval_ms, timeout_ms: interval_ms / 2 } as const;
    return { health: { max_fails: 3, fail_timeout_ms: 10_000, check } };
  };
  const windows: Record<'without' | 'with', Window[]> = { without: [], with: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    await publish({});
    windows.without.push(await measure(lab, gateway));
    await publish(checked(1_000));
    windows.with.push(await measure(lab, gateway));
  }
  await publish(checked(100));
  const most = await measure(lab, gateway);
  const row = (what: string, list: readonly Window[]) => [
    what,
    ...(['checksPerSecond', 'cpuMsPerSecond', 'p50', 'p99'] as const).map((key) =>
      rounded(median(list.map((one) => one[key])), key.startsWith('p') ? 3 : 0),
    ),
  ];
  const perCheck =
    (median(windows.with.map((one) => one.cpuMsPerSecond)) -
      median(windows.without.map((one) => one.cpuMsPerSecond))) /
    median(windows.with.map((one) => one.checksPerSecond));
  report('checks', {
    title: 'Checks of instances',
    how: `${INSTANCES} instances of one service, checked by HTTP; another service takes ${RATE} requests per second. One worker does both. ${ROUNDS} rounds of ${SECONDS} s with and
without checks in turn, medians; then once with an interval of 100 ms, which is more than a worker can do.`,
    columns: [
      'interval',
      'checks per second',
      'CPU of the worker, ms per second',
      'requests: p50, ms',
      'p99, ms',
    ],
    rows: [row('no checks', windows.without), row('1 s', windows.with), row('100 ms', [most])],
    verdicts: [
      {
        what: 'checks: time between two of one instance, interval 1 s',
        measured: rounded(INSTANCES / median(windows.with.map((one) => one.checksPerSecond)), 3),
        limit: 1.1,
        unit: 's',
      },
      { what: 'checks: CPU per check', measured: rounded(perCheck * 1_000, 1), limit: 100, unit: 'µs' },
    ],
  });
});

async function measure(lab: Lab, gateway: Subject): Promise<Window> {
  const [began, checks, cpu] = [performance.now(), await checksOf(gateway), cpuTime(gateway.pids)];
  const aim = { host: lab.host, ports: [gateway.port], connections: 16, seconds: SECONDS };
  const answers = (await steady(aim, RATE)).get(gateway.port) ?? [];
  const seconds = (performance.now() - began) / 1_000;
  const waits = answers.map(({ ms }) => ms);
  return {
    checksPerSecond: ((await checksOf(gateway)) - checks) / seconds,
    cpuMsPerSecond: (cpuTime(gateway.pids) - cpu) / 1e6 / seconds,
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
  };
}

/** All that have ended so far. */
async function checksOf({ adminUrl }: Subject): Promise<number> {
  const { body } = await request(`${adminUrl}/metrics`);
  const found = [...(await body.text()).matchAll(/^ebbgate_probes_total\{.*\} (\d+)$/gm)];
  return found.reduce((sum, [, count]) => sum + Number(count), 0);
}
