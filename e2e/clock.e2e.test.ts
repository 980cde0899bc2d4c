import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Heartbeat } from '../control-plane/src/testkit.js';
import { startInstance } from './harness/instance.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { sendMany } from './harness/traffic.js';
import { until } from './harness/until.js';
import { WallClock } from './harness/wall_clock.js';
import { hostOf, Workbench } from './harness/workbench.js';

const HOUR = 3_600;
const clock = new WallClock();
const started: FaultyInstance[] = [];
let bench: Workbench;

beforeAll(async () => {
  bench = await Workbench.start({}, clock.env);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});
afterEach(() => {
  clock.set(0);
});

const beat = (): Promise<Heartbeat> => until('a heartbeat', () => bench.publishing.heartbeat('gw-1'));
/** Resolves once `count` more heartbeats have come. */
async function beats(count: number): Promise<void> {
  const { seq } = await beat();
  await bench.heard(`${count} heartbeats after ${seq}`, (one) => one.seq >= seq + count);
}
const caughtUp = async (): Promise<number> =>
  (JSON.parse((await bench.admin('/readyz')).text) as { caught_up_seconds_ago: number })
    .caught_up_seconds_ago;
const many = (service: string, count: number): Promise<unknown> =>
  sendMany({ url: bench.gateway.url, host: hostOf(service), count });

/** A service of two instances, the first of which refuses connections and is ejected. */
async function sick(service: string, failTimeoutMs: number): Promise<FaultyInstance> {
  const [one, two] = [await FaultyInstance.start(service), await FaultyInstance.start(service)];
  started.push(one, two);
  const health = { max_fails: 3, fail_timeout_ms: failTimeoutMs };
  await bench.serve(service, [peer(one), peer(two)], { health });
  await one.refuse();
  await until(`${service} is ejected`, async () => {
    await many(service, 10);
    return (await stateOf(service, one)) === 'ejected';
  });
  return one;
}
const stateOf = async (service: string, one: FaultyInstance): Promise<string | undefined> =>
  (await beat()).health?.[`${service}|${one.id}`]?.state;

test.each([
  ['back', -HOUR],
  ['forward', HOUR],
])('a wall clock set %s by an hour stops no heartbeat and no poll', async (_way, seconds) => {
  clock.set(seconds);
  await beats(4);
  await until('it grows', async () => (await caughtUp()) > 0.5);
  await until('a poll', async () => (await caughtUp()) < 0.5);
  expect(await caughtUp()).toBeGreaterThanOrEqual(0);
});

test('set back, it does not keep an ejected instance out, and an ejection after it is one', async () => {
  const one = await sick('shop', 1_000);
  clock.set(-HOUR);
  await one.listen();
  await until('it gets requests again', async () => {
    await many('shop', 10);
    return (await stateOf('shop', one)) === undefined;
  });
  await one.refuse();
  await until('it is ejected once more', async () => {
    await many('shop', 10);
    return (await stateOf('shop', one)) === 'ejected';
  });
});

test('set forward, it ends no ejection, and people see since when by the clock of today', async () => {
  const one = await sick('store', 60_000);
  const { seq, health } = await beat();
  clock.set(HOUR);
  await beats(2);
  const asked = one.requests.length;
  await one.listen();
  await many('store', 50);
  expect(one.requests.length).toBe(asked);
  const later = await bench.heard('later', (now) => now.seq > seq + 4);
  const moved = later.health![`store|${one.id}`]!.since - health![`store|${one.id}`]!.since;
  expect(Math.abs(moved - HOUR)).toBeLessThanOrEqual(2);
});

test('a request that is open meanwhile counts with the time that it took', async () => {
  await using one = await startInstance({ service: 'slow' });
  await bench.serve('slow', [peer(one)]);
  for (const seconds of [-HOUR, HOUR]) {
    const before = one.requests();
    const asked = bench.ask('slow', '/?delay=0.4');
    await until('it is there', () => one.requests() > before);
    clock.set(seconds);
    expect((await asked).status).toBe(200);
    clock.set(0);
    await beats(1);
  }
  const sum = async (): Promise<number> => {
    const { text } = await bench.admin('/metrics');
    return Number(/^ebbgate_request_duration_seconds_sum\{service="slow".* ([\d.e+-]+)$/m.exec(text)?.[1]);
  };
  await until('each worker has flushed', async () => (await sum()) > 0.7);
  expect(await sum()).toBeLessThan(60);
});

test('a frozen worker loses what it alone does to another one, though the clock was set back', async () => {
  clock.set(-HOUR);
  for (const pid of bench.gateway.workers()) {
    process.kill(pid, 'SIGSTOP');
    try {
      await beats(3);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }
});
