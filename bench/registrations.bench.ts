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
  { services: 1_000, instances: 10 },
  { services: 2_000, instances: 50 },
];
/** Everything as it is by default, but for where instances may be. */
const ENV = {
  EBBGATE_ALLOWED_NETWORKS: '10.0.0.0/8',
  EBBGATE_SETTLE: '20s',
  EBBGATE_SUSPECT: '60s',
  EBBGATE_GATEWAY_SILENT: '10s',
  EBBGATE_ZOOKEEPER_SESSION: '10s',
};
/** What a start leaves behind is done after this: the nodes of consumers, garbage, code that is compiled once it is used often. */
const SETTLE_MS = 60_000;
/** An idle controller is watched for this long: everything that it does from time to time is in it, and the slowest does that every 30 s. */
const WATCHED_MS = 60_000;
/** Idle and changing in turn, so that whatever else the machine does meets both alike. */
const ROUNDS = 9;
const BETWEEN_MS = 6_000;
const CHANGES = 8;
/** After a change: until all that it causes has been done, garbage included. */
const AFTER_MS = 700;

async function measure({ services: count, instances }: (typeof SIZES)[number]) {
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
  await pause(SETTLE_MS);
  /** Milliseconds of CPU that the controller uses during `run`, and how long that takes. */
  const used = async (run: () => Promise<unknown>): Promise<{ cpu: number; ms: number }> => {
    const [began, from] = [performance.now(), processTime(pid)];
    await run();
    return { cpu: processTime(pid) - from, ms: performance.now() - began };
  };
  let change = 0;
  const changeSome = async (): Promise<void> => {
    for (let n = 0; n < CHANGES; n += 1) {
      change += 1;
      const [s, weight, at] = [(change * 37) % count, 200 + change, performance.now()];
      await registrants.weigh(s, change % instances, weight);
      await until('the change is published', async () =>
        (await platform.published(services[s])).peers.some((peer) => peer.weight === weight),
      );
      await pause(Math.max(0, at + AFTER_MS - performance.now()));
    }
  };
  const idle = await used(() => pause(WATCHED_MS));
  await used(changeSome); // what runs for the first time is compiled first
  const between = [await used(() => pause(BETWEEN_MS))];
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const changing = await used(changeSome);
    between.push(await used(() => pause(BETWEEN_MS)));
    // Against the times without a change before and after it.
    costs.push((changing.cpu - rate(between.slice(-2)) * changing.ms) / CHANGES);
  }
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / ROUNDS;
  return { idle: 100 * rate([idle]), median: quantile(costs, 0.5), most: Math.max(...costs), mean };
}

function rate(windows: readonly { readonly cpu: number; readonly ms: number }[]): number {
  const sum = (of: 'cpu' | 'ms'): number => windows.reduce((total, one) => total + one[of], 0);
  return sum('cpu') / sum('ms');
}

test(
  'what a registration costs the controller, and what a second without one costs',
  { timeout: 600_000 },
  async () => {
    const rows = [];
    for (const size of SIZES) {
      const { idle, median, most, mean } = await measure(size);
      const what = `${size.services} × ${size.instances}`;
      rows.push([
        what,
        ROUNDS * CHANGES,
        ...[median, mean, most].map((ms) => rounded(ms, 1)),
        rounded(idle, 2),
      ]);
      console.log(rows.at(-1)?.join(' | '));
    }
    report('registrations', {
      title: 'What a change costs the controller',
      how: `ZooKeeper, Redis, one controller and two gateways, all with the product's times; ephemeral registrations in sessions of 5,000. A
change: another weight in one registration, every ${AFTER_MS} ms; it is published before the next. ${ROUNDS} rounds of ${CHANGES} changes, and
${BETWEEN_MS / 1_000} s without one before and after each. CPU is that of all threads of the controller's process, of a change less what it uses in that
time without one, as measured beside it. Idle: ${WATCHED_MS / 1_000} s before the first change, ${SETTLE_MS / 1_000} s after the start. The comparison of all of Redis with what
was published, every 30 s, is in both.`,
      columns: [
        'services × instances',
        'changes',
        'median of the rounds, ms',
        'mean, ms',
        'most, ms',
        'idle, % of a core',
      ],
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
