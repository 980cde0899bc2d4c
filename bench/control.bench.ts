import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'vitest';
import {
  createProviderRegistration,
  flawOfProvider,
  createRecordingLog,
  ZooKeeperLink,
  systemClock,
} from '../control-plane/src/testkit.js';
import { UpPlatform } from '../e2e/harness/up_platform.js';
import { Acks } from './harness/acks.js';
import { quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const REGISTRATIONS = 50;
const ISOLATIONS = 100;
const SERVICE = 'shop';
/** Longer than the longest window in which the controller gathers registrations that keep coming. */
const CALM_MS = 850;

test('from a registration, and from an operator, to the acks of two gateways', async () => {
  await using platform = await UpPlatform.start({ gateways: 2, instances: 3 });
  const gateways = (await platform.fleet()).map(({ id }) => id);
  await using acks = await Acks.open(platform.data, gateways);
  const registered = await register(platform, acks);
  const isolated = await isolate(platform, acks);
  const row = (what: string, waits: readonly number[]) => [
    what,
    waits.length,
    ...[0.5, 0.9, 0.99, 1].map((share) => rounded(quantile(waits, share), 1)),
  ];
  report('control', {
    title: 'From a change to the acks of both gateways',
    how: `The whole product as \`ebbgate up\` starts it: ZooKeeper, Redis, the controller, two gateways of two workers. A registration: from
the moment a provider asks ZooKeeper to create its node until the heartbeats of both gateways in Redis are at the set that has the
instance; they come a second apart, since those that keep coming are gathered, for up to 0.8 s. An isolation: from the POST to the control API until they are at the set in which the instance is down. The last
step of both is seen by a client of Redis.`,
    columns: ['change', 'times', 'p50, ms', 'p90, ms', 'p99, ms', 'worst, ms'],
    rows: [row('registration in ZooKeeper', registered), row('isolate by the control API', isolated)],
    verdicts: [
      { what: 'registration, p99', measured: rounded(quantile(registered, 0.99), 1), limit: 150, unit: 'ms' },
      { what: 'isolate, p99', measured: rounded(quantile(isolated, 0.99), 1), limit: 100, unit: 'ms' },
    ],
  });
});

async function register(platform: UpPlatform, acks: Acks): Promise<readonly number[]> {
  const waits: number[] = [];
  const link = new ZooKeeperLink({
    connect: platform.env.EBBGATE_ZOOKEEPER,
    sessionTimeoutMs: 10_000,
    log: createRecordingLog(),
    clock: systemClock,
    random: Math.random,
  });
  await link.start();
  const registrations = [];
  for (let i = 0; i < REGISTRATIONS; i += 1) {
    const data = { id: `added-${i}`, host: '127.0.0.1', port: 1_024 + i, version: 'v1', weight: 1 };
    const registration = createProviderRegistration({
      link,
      root: '/services',
      service: 'added',
      node: data.id,
      check: flawOfProvider,
    });
    registrations.push(registration);
    await registration.start();
    const began = performance.now();
    const acked = acks.acked('added', ({ peers }) => peers.some(({ id }) => id === data.id));
    await registration.set(data);
    waits.push((await acked) - began);
    await pause(CALM_MS + Math.random() * 100); // else the controller gathers them: that is another number
  }
  for (const registration of registrations) await registration.close();
  await link.close();
  return waits;
}

async function isolate(platform: UpPlatform, acks: Acks): Promise<readonly number[]> {
  const waits: number[] = [];
  const listed = await platform.call<{ readonly items: readonly { readonly id: string }[] }>(
    'GET',
    `/v1/services/${SERVICE}/instances`,
  );
  const id = listed.body.items[0]!.id;
  const path = `/v1/services/${SERVICE}/instances/${encodeURIComponent(id)}`;
  const turn = async (verb: 'isolate' | 'restore', down: boolean): Promise<number> => {
    const began = performance.now();
    const acked = acks.acked(SERVICE, ({ peers }) => peers.some((one) => one.id === id && one.down === down));
    const answer = await platform.call('POST', `${path}/${verb}`, { reason: 'bench' });
    if (answer.status !== 200) throw new Error(`${verb}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return (await acked) - began;
  };
  for (let i = 0; i < ISOLATIONS; i += 1) {
    waits.push(await turn('isolate', true));
    await turn('restore', false);
    await pause(Math.random() * 50);
  }
  return waits;
}
