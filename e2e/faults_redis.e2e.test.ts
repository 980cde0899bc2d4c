import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRecordingLog, loadPublisher, productRoot, systemClock } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { measured } from './harness/measured.js';
import { readSet, sha1 } from './harness/publish.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;
let two: RegisteredInstance;
let rdb: string;

/** Redis came back or was emptied; everybody must be on the newest sets within this. */
const HEALED_MS = 5_000;
/** How long Redis stays away. */
const AWAY_MS = process.env.EBBGATE_LONG === undefined ? 8_000 : 30_000;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  rdb = join(platform.dir, 'redis', 'dump.rdb');
  [one, two] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

/** Waits until Redis has a sealed epoch above `epoch` and both gateways have applied all of it; asserts how long it took. */
async function healed(what: string, epoch: number): Promise<void> {
  const began = performance.now();
  await until(
    'everybody is on the newest sets',
    async () => {
      const meta = await platform.data.hgetall('{ebb}:meta');
      if (meta.sealed !== '1' || Number(meta.epoch) <= epoch) return false;
      const fleet = await platform.fleet();
      const there = fleet.every(
        ({ state, applied }) =>
          state === 'live' &&
          applied?.epoch === Number(meta.epoch) &&
          applied.generation >= Number(meta.generation),
      );
      return fleet.length === 2 && there && (await platform.service()).convergence?.converged;
    },
    { timeoutMs: 20_000 },
  );
  expect(measured(what, performance.now() - began)).toBeLessThan(HEALED_MS);
}

async function epochNow(): Promise<number> {
  return Number(await platform.data.hget('{ebb}:meta', 'epoch'));
}

/** Positions that the gateways themselves report, sampled: they must never fall. */
async function positions(): Promise<readonly number[]> {
  const fleet = await platform.fleet();
  return fleet.map(({ applied }) => (applied?.epoch ?? 0) * 1e6 + (applied?.generation ?? 0));
}

test('Redis killed and started again empty: nothing fails, what is drained stays drained, all is published again', async () => {
  const drain = await platform.drain(one.id);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  const [before, at, seen] = [one.requests(), await positions(), await epochNow()];
  await using traffic = platform.traffic();
  await platform.redis.restart(() => {
    rmSync(rdb, { force: true });
  });
  await healed('Redis restarted empty → newest sets everywhere', seen);
  (await positions()).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  await until('traffic on the new sets', () => traffic.total() > 200);
  expect(one.requests()).toBe(before);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('FLUSHALL: nothing fails, and the sets are back although nobody changes anything', async () => {
  const drain = await platform.drain(one.id);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  const [before, seen] = [one.requests(), await epochNow()];
  await using traffic = platform.traffic();
  await platform.data.flushall();
  await healed('FLUSHALL → newest sets everywhere', seen);
  expect((await platform.published()).peers.map(({ id, state }) => [id, state]).sort()).toEqual(
    [
      [one.id, 'draining'],
      [two.id, 'up'],
    ].sort(),
  );
  await until('traffic on the new sets', () => traffic.total() > 200);
  expect(one.requests()).toBe(before);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Redis restarted with old data: an ack from before does not count for a drain that is published right after', async () => {
  const [, second] = platform.gateways;
  await platform.data.save();
  copyFileSync(rdb, `${rdb}.old`);
  for (const _ of [1, 2]) {
    expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
    await platform.undrain(one.id);
  }
  const [at, seen] = [await positions(), await epochNow()];
  await using traffic = platform.traffic({}, [platform.gateways[0]!]);
  // The second gateway cannot speak: all that Redis has of it is what it said before.
  await second!.freeze();
  await platform.redis.restart(() => {
    copyFileSync(`${rdb}.old`, rdb);
  });
  expect(await platform.data.get('{ebb}:gw:gateway-2')).not.toBeNull();
  const drain = await platform.drain(two.id);
  await until('the drain is published under a new epoch', async () => (await epochNow()) > seen);
  await until('the drain waits for the second gateway alone', async () => {
    const { waiting_for, state } = await platform.operation(drain);
    expect(state).toBe('running');
    return waiting_for.length === 1 && /gateway gateway-2/.test(waiting_for[0] ?? '');
  });
  second!.thaw();
  await healed('Redis restarted with old data → newest sets everywhere', seen);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  (await positions()).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  const before = two.requests();
  await until('more traffic', () => traffic.total() > 300);
  expect(two.requests()).toBe(before);
  await platform.undrain(two.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Redis away while instances come and go: the last good sets serve, intents are taken, all is caught up after', async () => {
  const dying = await platform.startInstance();
  const seen = await epochNow();
  await using traffic = platform.traffic();
  await platform.redis.kill();
  const gone = performance.now();
  await until('the controller says so', async () => (await platform.call('GET', '/readyz')).status === 503);
  await dying.die();
  const coming = await platform.startInstance({ wait: false });
  const drain = await platform.drain(one.id);
  expect(await platform.operation(drain)).toMatchObject({ published: false, state: 'running', result: null });
  await until('Redis has been away long enough', () => performance.now() - gone > AWAY_MS, {
    timeoutMs: AWAY_MS + 5_000,
  });
  expect(await platform.operation(drain)).toMatchObject({ published: false, state: 'running', result: null });
  rmSync(rdb, { force: true });
  await platform.redis.start();
  await healed(`Redis away for ${String(AWAY_MS / 1000)} s → newest sets everywhere`, seen);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained', published: true });
  const [before, came] = [one.requests(), coming.requests()];
  await until('the new instance is used', () => coming.requests() > came + 50);
  expect(one.requests()).toBe(before);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
  await coming.leave();
  await until('it is drained', async () => (await platform.instance(coming.id)).drain?.drained);
  await coming.withdraw();
  const left = [one.id, two.id].sort();
  await until('only the first two are left', async () => {
    const { peers } = await platform.published();
    return peers.map(({ id }) => id).join() === left.join();
  });
});

test('a late duplicate of an old publish changes nothing', async () => {
  const old = await platform.data.hgetall('{ebb}:set:shop');
  const drain = await platform.drain(one.id);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  const { createPublisher, loadScripts } = await loadPublisher();
  await using late = createPublisher({
    url: `redis://127.0.0.1:${platform.ports.redis}`,
    log: createRecordingLog(),
    clock: systemClock,
    scripts: await loadScripts(join(productRoot(), 'lua', 'redis')),
  });
  await late.start();
  await until('the second connection', () => late.state().state === 'connected');
  const payload = old.payload ?? '';
  expect(sha1(payload)).toBe(old.hash);
  const document = readSet(payload);
  // As it was sent then: it expected the set where it was before.
  const repeated = {
    epoch: Number(old.epoch),
    last_generation: Number(old.generation) - 1,
    expected_generation: Number(old.generation) - 1,
    at: old.at ?? '',
    encoded: { service: 'shop', document, payload, hash: sha1(payload) },
  };
  const answer = await late.publish(repeated);
  expect(answer).toMatchObject({ kind: 'conflict' });
  // Other changes may have gone on top meanwhile; the old one has not come back.
  const now = await platform.data.hgetall('{ebb}:set:shop');
  expect(now.hash).not.toBe(old.hash);
  expect(Number(now.generation)).toBeGreaterThan(Number(old.generation));
  const before = one.requests();
  await using traffic = platform.traffic();
  await until('traffic', () => traffic.total() > 100);
  expect(one.requests()).toBe(before);
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});
