import { connect, systemClock, type ZooKeeperConnection } from '../control-plane/src/testkit.js';
import { test } from 'vitest';
import { ControlledPlatform } from '../e2e/harness/controlled_platform.js';
import { until } from '../e2e/harness/until.js';
import { Acks } from './harness/acks.js';
import { quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';
import { SimulatedGateways } from './harness/simulated_gateways.js';

const CHANGES = 100;
const DRAINS = 50;
const STORM = { services: 100, each: 50, seconds: 10 };

test('a change, a drain and a storm with many gateways', { timeout: 300_000 }, async () => {
  const few = await measure(50, true);
  const many = await measure(200, false);
  const row = (what: string, waits: readonly number[]) => [
    what,
    waits.length,
    ...[0.5, 0.9, 0.99, 1].map((share) => rounded(quantile(waits, share), 1)),
  ];
  const p99 = (waits: readonly number[]): number => rounded(quantile(waits, 0.99), 1);
  report('fleet', {
    title: 'Many gateways',
    how: `ZooKeeper, Redis, a controller and one real gateway, and simulated ones in the process that measures: each reads meta, index and what is new at
every hint, reports, and beats every second. So what is measured is the controller, Redis and this process, on the same two cores. An isolation, and its end: from
the POST until all heartbeats in Redis are at the set. In the storm 5,000 instances of 100 services register again under their identity, a
deletion and a creation each, paced over ${String(STORM.seconds)} s. A drain: from the report of a gateway that the last open request has ended until the API says drained.`,
    columns: ['what', 'times', 'p50, ms', 'p90, ms', 'p99, ms', 'worst, ms'],
    rows: [
      row('isolate or restore, 50 gateways', few.changes),
      row('isolate or restore, 200 gateways', many.changes),
      row('isolate or restore in the storm, 50 gateways', few.storm),
      row('drain confirmed, 50 gateways', few.drains),
    ],
    verdicts: [
      { what: 'isolate, 50 gateways, p99', measured: p99(few.changes), limit: 100, unit: 'ms' },
      { what: 'isolate, 200 gateways, p99', measured: p99(many.changes), limit: 250, unit: 'ms' },
      { what: 'isolate in the storm, p99', measured: p99(few.storm), limit: 300, unit: 'ms' },
      { what: 'drain confirmed, p99', measured: p99(few.drains), limit: 1_000, unit: 'ms' },
    ],
  });
});

async function measure(count: number, withStorm: boolean) {
  await using platform = await ControlledPlatform.start({ gateways: 1 });
  const [instance] = await Promise.all([1, 2, 3].map(() => platform.startInstance()));
  await using gateways = await SimulatedGateways.start(platform.ports.redis, count);
  await until('all are in the roster', async () => {
    const fleet = await platform.fleet();
    return fleet.filter(({ in_roster }) => in_roster).length === count + 1;
  });
  await using acks = await Acks.open(platform.data, [...gateways.ids, 'gateway-1']);
  const id = instance!.id;
  const changes = await steer(platform, acks, id, CHANGES);
  if (!withStorm) return { changes, drains: [0], storm: [0] };
  const drains: number[] = [];
  for (let turn = 0; turn < DRAINS; turn += 1) {
    await gateways.count({ [`shop|${id}`]: 1 });
    const operation = await platform.drain(id);
    await until('one request is waited for', async () => {
      const { waiting_for } = await platform.operation(operation);
      return waiting_for.length === 1 && waiting_for[0]!.includes('open request');
    });
    const ended = platform.call<{ readonly result: string | null }>(
      'GET',
      `/v1/operations/${operation}?wait=10s`,
    );
    const began = performance.now();
    await gateways.count({});
    if ((await ended).body.result !== 'drained') throw new Error('it was not drained');
    drains.push(performance.now() - began);
    await platform.undrain(id);
  }
  const storm = new AbortController();
  const raging = rage(platform, storm.signal);
  await until('the storm has come', async () => (await platform.service('storm-1')).instances.total > 0);
  const inStorm = await steer(platform, acks, id, CHANGES);
  storm.abort();
  await raging;
  return { changes, drains, storm: inStorm };
}

/** Isolates an instance and gives it back, `times` in all: the milliseconds until all gateways have acked, each. */
async function steer(
  platform: ControlledPlatform,
  acks: Acks,
  id: string,
  times: number,
): Promise<readonly number[]> {
  const waits: number[] = [];
  for (let turn = 0; turn < times; turn += 1) {
    const [verb, state] = turn % 2 === 0 ? ['isolate', 'isolated'] : ['restore', 'up'];
    const began = performance.now();
    const acked = acks.acked('shop', ({ peers }) =>
      peers.some((peer) => peer.id === id && peer.state === state),
    );
    const path = `/v1/services/shop/instances/${encodeURIComponent(id)}/${verb}`;
    const { status } = await platform.call('POST', path, { reason: 'measured' });
    if (status !== 200) throw new Error(`${verb}: ${String(status)}`);
    waits.push((await acked) - began);
  }
  return waits;
}

/** Registers all instances of the storm, and registers them again and again until `signal` aborts. */
async function rage(platform: ControlledPlatform, signal: AbortSignal): Promise<void> {
  const server = { host: '127.0.0.1', port: platform.ports.zookeeper };
  const opened = await connect({
    server,
    sessionTimeoutMs: 30_000,
    connectTimeoutMs: 10_000,
    clock: systemClock,
  });
  if (!opened.ok) throw new Error(opened.error);
  const connection = opened.value;
  const names = Array.from({ length: STORM.services }, (_, n) => `storm-${String(n + 1)}`);
  for (const name of names)
    for (const path of [`/services/${name}`, `/services/${name}/providers`])
      await connection.create(path, Buffer.alloc(0));
  const pauseMs = (STORM.seconds * 1_000) / STORM.each;
  for (let turn = 0; !signal.aborted; turn = (turn + 1) % STORM.each) {
    const next = new Promise((resolve) => setTimeout(resolve, pauseMs));
    await Promise.all(names.map((name, n) => again(connection, name, turn, n)));
    await next;
  }
  await connection.close();
}

async function again(
  connection: ZooKeeperConnection,
  service: string,
  turn: number,
  n: number,
): Promise<void> {
  const path = `/services/${service}/providers/i-${String(turn)}`;
  const data = { host: '127.0.0.1', port: 20_000 + turn * STORM.services + n, version: 'v1' };
  await connection.remove(path, -1);
  await connection.create(path, Buffer.from(JSON.stringify(data)), { ephemeral: true });
}
