import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  createProviderRegistration,
  flawOfProvider,
  createRecordingLog,
  type ReleaseOutcome,
  type ReleaseResource,
  ZooKeeperLink,
  systemClock,
} from '../control-plane/src/testkit.js';
import { ControlledPlatform } from '../e2e/harness/controlled_platform.js';
import { until } from '../e2e/harness/until.js';
import { cpuTime } from './harness/cpu_time.js';
import { quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const SERVICES = 100;
const IDLE_MS = 5_000;
const SAMPLE_MS = 250;
const STEPS = [{ weight: 10 }, { pause: '2s' }, { weight: 50 }, { pause: '2s' }, { weight: 100 }];
/** Its start takes the share of v2 away, which is registered already; then each weight. The end changes no set. */
const PUBLISHES = SERVICES * 4;

/** The position of the sets: grows by one with each that is published. */
async function generation(platform: ControlledPlatform): Promise<number> {
  return Number((await platform.data.hget('{ebb}:meta', 'generation')) ?? 0);
}

/** Milliseconds on a core of all threads of a process. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test('100 releases of 100 services at once', async () => {
  await using platform = await ControlledPlatform.start();
  const link = new ZooKeeperLink({
    connect: `127.0.0.1:${platform.ports.zookeeper}`,
    sessionTimeoutMs: 10_000,
    log: createRecordingLog(),
    clock: systemClock,
    random: Math.random,
  });
  await link.start();
  const services = Array.from({ length: SERVICES }, (_, n) => `service-${n}`);
  const registrations = [];
  for (const [n, service] of services.entries())
    for (const [v, version] of ['v1', 'v2'].entries()) {
      const data = {
        id: `${version}-${n}`,
        host: '127.0.0.1',
        port: 2_000 + 2 * n + v,
        version,
        ready: true,
      };
      const registration = createProviderRegistration({
        link,
        root: '/services',
        service,
        node: data.id,
        check: flawOfProvider,
      });
      await registration.start();
      await registration.set(data);
      registrations.push(registration);
    }
  await until('all services are published', async () => {
    const last = await platform.service(services.at(-1));
    return last.instances.total === 2 && last.convergence?.converged;
  });
  const { pid } = platform.controller.process;
  const idle = cpuOf(pid);
  await pause(IDLE_MS);
  const idleShare = (100 * (cpuOf(pid) - idle)) / IDLE_MS;

  const gates = { min_samples: 1, on_inconclusive: 'pass' };
  const [began, from, cpu, main] = [
    performance.now(),
    await generation(platform),
    cpuOf(pid),
    cpuTime([pid]),
  ];
  const answers = await Promise.all(
    services.map(async (service) => {
      const asked = performance.now();
      const body = { target: 'v2', stable: 'v1', steps: STEPS, gates };
      const { status } = await platform.call<ReleaseOutcome>(
        'POST',
        `/v1/services/${service}/releases`,
        body,
      );
      expect(status).toBe(202);
      return performance.now() - asked;
    }),
  );
  const rates: number[] = [];
  let last = { at: performance.now(), generation: await generation(platform) };
  let running = SERVICES;
  while (running > 0) {
    await pause(SAMPLE_MS);
    const now = { at: performance.now(), generation: await generation(platform) };
    rates.push((1_000 * (now.generation - last.generation)) / (now.at - last.at));
    last = now;
    running = (await platform.call<{ items: unknown[] }>('GET', '/v1/releases')).body.items.length;
  }
  const took = performance.now() - began;
  const used = cpuOf(pid) - cpu;
  const busy = (cpuTime([pid]) - main) / 1e6;
  const published = (await generation(platform)) - from;
  const ends = await Promise.all(
    services.map(async (service) => {
      const { body } = await platform.call<{ items: ReleaseResource[] }>(
        'GET',
        `/v1/services/${service}/releases`,
      );
      return body.items[0]?.state;
    }),
  );
  expect(new Set(ends)).toEqual(new Set(['succeeded']));
  for (const one of registrations) await one.close();
  await link.close();
  report('hundred_releases', {
    title: 'A hundred releases at once',
    how: `ZooKeeper, Redis, one controller and two gateways of two workers; 100 services of one instance of v1 and one of v2, without
requests. 100 releases are started by 100 POSTs at the same moment: 10 %, 2 s, 50 %, 2 s, 100 %. CPU is that of the controller's process, all
threads, over the time until the last release has ended; publishes are counted by the generation in Redis, four times a second.`,
    columns: ['what', 'number'],
    rows: [
      ['from the first POST until all have succeeded, s (4 s of it are soaks)', rounded(took / 1_000, 1)],
      ['sets published', published],
      ['published per second, mean', rounded((1_000 * published) / took, 1)],
      ['published per second, busiest quarter of a second', rounded(Math.max(...rates), 0)],
      ['CPU of the controller, % of a core', rounded((100 * used) / took, 1)],
      ['of its event loop alone, % of a core', rounded((100 * busy) / took, 1)],
      ['the same with no release running, % of a core', rounded(idleShare, 1)],
      ['CPU per release, ms', rounded(used / SERVICES, 1)],
      ['answer to a POST, p50, ms', rounded(quantile(answers, 0.5), 0)],
      ['answer to a POST, worst, ms', rounded(Math.max(...answers), 0)],
    ],
    verdicts: [
      {
        what: 'sets published beyond the start and each weight of each release',
        measured: Math.max(0, published - PUBLISHES),
        limit: 0,
        unit: 'sets',
      },
      { what: 'until all have succeeded', measured: rounded(took / 1_000, 1), limit: 30, unit: 's' },
    ],
  });
});
