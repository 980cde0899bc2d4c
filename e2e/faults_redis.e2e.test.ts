import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRecordingLog, loadPublisher, productRoot, systemClock } from '../control-plane/src/testkit.js';
import type { Enlisted } from './harness/enlisted.js';
import { measured } from './harness/measured.js';
import { sha1 } from './harness/publish.js';
import { Rig } from './harness/rig.js';
import { until } from './harness/until.js';

let rig: Rig;
let one: Enlisted;
let two: Enlisted;
let rdb: string;

/** Redis came back or was emptied; everybody must be on the newest sets within this. */
const HEALED_MS = 5_000;
/** How long Redis stays away. */
const AWAY_MS = process.env.EBBGATE_LONG === undefined ? 8_000 : 30_000;

beforeAll(async () => {
  rig = await Rig.start();
  rdb = join(rig.dir, 'redis', 'dump.rdb');
  [one, two] = await Promise.all([rig.enlist(), rig.enlist()]);
  await rig.route();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Waits until Redis has a sealed epoch above `epoch` and both gateways have applied all of it; asserts how long it took. */
async function healed(what: string, epoch: number): Promise<void> {
  const began = performance.now();
  await until(
    'everybody is on the newest sets',
    async () => {
      const meta = await rig.data.hgetall('{ebb}:meta');
      if (meta.sealed !== '1' || Number(meta.epoch) <= epoch) return false;
      const fleet = await rig.fleet();
      const there = fleet.every(
        ({ state, applied }) =>
          state === 'live' &&
          applied?.epoch === Number(meta.epoch) &&
          applied.generation >= Number(meta.generation),
      );
      return fleet.length === 2 && there && (await rig.service()).convergence?.converged;
    },
    { timeoutMs: 20_000 },
  );
  expect(measured(what, performance.now() - began)).toBeLessThan(HEALED_MS);
}

async function epochNow(): Promise<number> {
  return Number(await rig.data.hget('{ebb}:meta', 'epoch'));
}

/** Positions that the gateways themselves report, sampled: they must never fall. */
async function positions(): Promise<readonly number[]> {
  const fleet = await rig.fleet();
  return fleet.map(({ applied }) => (applied?.epoch ?? 0) * 1e6 + (applied?.generation ?? 0));
}

test('Redis killed and started again empty: nothing fails, what is drained stays drained, all is published again', async () => {
  const drain = await rig.drain(one.id);
  expect(await rig.ended(drain)).toMatchObject({ result: 'drained' });
  const [before, at, seen] = [one.requests(), await positions(), await epochNow()];
  await using traffic = rig.traffic();
  await rig.redis.restart(() => {
    rmSync(rdb, { force: true });
  });
  await healed('Redis restarted empty → newest sets everywhere', seen);
  (await positions()).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  await until('traffic on the new sets', () => traffic.total() > 200);
  expect(one.requests()).toBe(before);
  await rig.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('FLUSHALL: nothing fails, and the sets are back although nobody changes anything', async () => {
  const drain = await rig.drain(one.id);
  expect(await rig.ended(drain)).toMatchObject({ result: 'drained' });
  const [before, seen] = [one.requests(), await epochNow()];
  await using traffic = rig.traffic();
  await rig.data.flushall();
  await healed('FLUSHALL → newest sets everywhere', seen);
  expect((await rig.published()).peers.map(({ id, state }) => [id, state]).sort()).toEqual(
    [
      [one.id, 'draining'],
      [two.id, 'up'],
    ].sort(),
  );
  await until('traffic on the new sets', () => traffic.total() > 200);
  expect(one.requests()).toBe(before);
  await rig.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Redis restarted with old data: an ack from before does not count for a drain that is published right after', async () => {
  const [, second] = rig.gateways;
  await rig.data.save();
  copyFileSync(rdb, `${rdb}.old`);
  for (const _ of [1, 2]) {
    expect(await rig.ended(await rig.drain(one.id))).toMatchObject({ result: 'drained' });
    await rig.undrain(one.id);
  }
  const [at, seen] = [await positions(), await epochNow()];
  await using traffic = rig.traffic({}, [rig.gateways[0]!]);
  // The second gateway cannot speak: all that Redis has of it is what it said before.
  await second!.freeze();
  await rig.redis.restart(() => {
    copyFileSync(`${rdb}.old`, rdb);
  });
  expect(await rig.data.get('{ebb}:gw:gw-2')).not.toBeNull();
  const drain = await rig.drain(two.id);
  await until('the drain is published under a new epoch', async () => (await epochNow()) > seen);
  await until('the drain waits for the second gateway alone', async () => {
    const { waiting_for, state } = await rig.operation(drain);
    expect(state).toBe('running');
    return waiting_for.length === 1 && /gateway gw-2/.test(waiting_for[0] ?? '');
  });
  second!.thaw();
  await healed('Redis restarted with old data → newest sets everywhere', seen);
  expect(await rig.ended(drain)).toMatchObject({ result: 'drained' });
  (await positions()).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  const before = two.requests();
  await until('more traffic', () => traffic.total() > 300);
  expect(two.requests()).toBe(before);
  await rig.undrain(two.id);
  expect(await traffic.stop()).toEqual([]);
});

test('Redis away while instances come and go: the last good sets serve, intents are taken, all is caught up after', async () => {
  const dying = await rig.enlist();
  const seen = await epochNow();
  await using traffic = rig.traffic();
  await rig.redis.kill();
  const gone = performance.now();
  await until('the controller says so', async () => (await rig.call('GET', '/readyz')).status === 503);
  await dying.die();
  const coming = await rig.enlist({ wait: false });
  const drain = await rig.drain(one.id);
  expect(await rig.operation(drain)).toMatchObject({ published: false, state: 'running', result: null });
  await until('Redis has been away long enough', () => performance.now() - gone > AWAY_MS, {
    timeoutMs: AWAY_MS + 5_000,
  });
  expect(await rig.operation(drain)).toMatchObject({ published: false, state: 'running', result: null });
  rmSync(rdb, { force: true });
  await rig.redis.start();
  await healed(`Redis away for ${String(AWAY_MS / 1000)} s → newest sets everywhere`, seen);
  expect(await rig.ended(drain)).toMatchObject({ result: 'drained', published: true });
  const [before, came] = [one.requests(), coming.requests()];
  await until('the new instance is used', () => coming.requests() > came + 50);
  expect(one.requests()).toBe(before);
  await rig.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
  await coming.leave();
  await until('it is drained', async () => (await rig.instance(coming.id)).drain?.drained);
  await coming.withdraw();
  const left = [one.id, two.id].sort();
  await until('only the first two are left', async () => {
    const { peers } = await rig.published();
    return peers.map(({ id }) => id).join() === left.join();
  });
});

test('a late duplicate of an old publish changes nothing', async () => {
  const old = await rig.data.hgetall('{ebb}:set:shop');
  const drain = await rig.drain(one.id);
  expect(await rig.ended(drain)).toMatchObject({ result: 'drained' });
  const { createPublisher, loadScripts } = await loadPublisher();
  await using late = createPublisher({
    url: `redis://127.0.0.1:${rig.ports.redis}`,
    log: createRecordingLog(),
    clock: systemClock,
    scripts: await loadScripts(join(productRoot(), 'lua', 'redis')),
  });
  await late.start();
  await until('the second connection', () => late.state().state === 'connected');
  const payload = old.payload ?? '';
  expect(sha1(payload)).toBe(old.hash);
  const document = JSON.parse(payload) as Awaited<ReturnType<Rig['published']>>;
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
  const now = await rig.data.hgetall('{ebb}:set:shop');
  expect(now.hash).not.toBe(old.hash);
  expect(Number(now.generation)).toBeGreaterThan(Number(old.generation));
  const before = one.requests();
  await using traffic = rig.traffic();
  await until('traffic', () => traffic.total() > 100);
  expect(one.requests()).toBe(before);
  await rig.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});
