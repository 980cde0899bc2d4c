import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'vitest';
import { ControlledPlatform } from '../e2e/harness/controlled_platform.js';
import { until } from '../e2e/harness/until.js';
import { processTime } from './harness/cpu_time.js';
import { manyServices } from './harness/many.js';
import { quantile } from './harness/numbers.js';
import { Registrants } from './harness/registrants.js';
import { report, rounded } from './harness/results.js';

const SIZES = [
  { services: 1_000, instances: 10, changes: 60 },
  { services: 2_000, instances: 50, changes: 60 },
];
/** Everything as it is by default, but for where instances may be. */
const ENV = {
  EBBGATE_ALLOWED_NETWORKS: '10.0.0.0/8',
  EBBGATE_SETTLE: '20s',
  EBBGATE_SUSPECT: '60s',
  EBBGATE_GATEWAY_SILENT: '10s',
  EBBGATE_ZOOKEEPER_SESSION: '10s',
};
const IDLE_MS = 20_000;
/** After a change: until all that it causes has been done, garbage included. */
const AFTER_MS = 700;

async function measure({ services: count, instances, changes }: (typeof SIZES)[number]) {
  const services = manyServices(count);
  await using platform = await ControlledPlatform.start({ env: ENV });
  await using registrants = await Registrants.register(platform.ports.zookeeper, services, instances);
  const published = () => platform.data.zcard('{ebb}:index');
  await until('every service is published', async () => (await published()) >= count + 1, {
    timeoutMs: 90_000,
  });
  await until(
    'every gateway is on the newest sets',
    async () => (await platform.fleet()).every(({ behind }) => behind === 0),
    { timeoutMs: 60_000 },
  );
  const { pid } = platform.controller.process;
  await pause(20_000); // what a start leaves behind: the nodes of consumers, garbage
  const [began, from] = [performance.now(), processTime(pid)];
  await pause(IDLE_MS);
  const idle = (processTime(pid) - from) / (performance.now() - began);
  const costs: number[] = [];
  const changing = performance.now();
  const before = processTime(pid);
  for (let change = 0; change < changes; change += 1) {
    const s = (change * 37) % count;
    const [at, used] = [performance.now(), processTime(pid)];
    await registrants.weigh(s, change % instances, 200 + change);
    const weight = 200 + change;
    await until('the change is published', async () =>
      (await platform.published(services[s])).peers.some((peer) => peer.weight === weight),
    );
    await pause(Math.max(0, at + AFTER_MS - performance.now()));
    costs.push(processTime(pid) - used - idle * (performance.now() - at));
  }
  const mean = (processTime(pid) - before - idle * (performance.now() - changing)) / changes;
  return { idle: 100 * idle, median: quantile(costs, 0.5), p90: quantile(costs, 0.9), mean };
}

test(
  'what a registration costs the controller, and what a second without one costs',
  { timeout: 600_000 },
  async () => {
    const rows = [];
    for (const size of SIZES) {
      const { idle, median, p90, mean } = await measure(size);
      const what = `${size.services} × ${size.instances}`;
      rows.push([what, size.changes, ...[median, p90, mean].map((ms) => rounded(ms, 1)), rounded(idle, 2)]);
      console.log(rows.at(-1)?.join(' | '));
    }
    report('registrations', {
      title: 'What a change costs the controller',
      how: `ZooKeeper, Redis, one controller and two gateways, all with the product's times; ephemeral registrations in sessions of 5,000. A
change: another weight in one registration, every ${AFTER_MS} ms; it is published before the next. CPU is that of all threads of the
controller's process from the change until the next, less what it uses in that time without one; that is measured over ${IDLE_MS / 1_000} s
before.`,
      columns: ['services × instances', 'changes', 'median, ms', 'p90, ms', 'mean, ms', 'idle, % of a core'],
      rows,
      verdicts: [
        {
          what: 'one change at 100,000 instances, median',
          measured: Number(rows[1]?.[2]),
          limit: 15,
          unit: 'ms',
        },
        { what: 'idle at 10,000 instances', measured: Number(rows[0]?.[5]), limit: 1, unit: '% of a core' },
      ],
    });
  },
);
