import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';

/*
 * lua/redis/limit.lua in a real Redis. What comes of it over time and many gateways is in lua/spec/cluster_limit_spec.lua, which
 * runs the same text over simulated time.
 */

const script = readFileSync(fileURLToPath(new URL('../../../lua/redis/limit.lua', import.meta.url)), 'utf8');
const SECOND = 1_000_000;
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-limit-'));
let server: LocalProcess;
let redis: Redis;
let named = 0;

beforeAll(async () => {
  const port = await reservePort();
  server = await launchRedis({ dir, port });
  redis = new Redis<'legacy'>({ host: '127.0.0.1', port });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

interface Report {
  readonly spent: number;
  readonly age?: number;
  readonly waiting?: number;
  readonly seen?: number;
}

/** Reports to `key`: when the bucket is full again, in microseconds from now, and how many gateways use it. */
async function report(
  key: string,
  { spent, age = 0, waiting = 0, seen = -1_000 * SECOND }: Report,
  { gateway = 'edge-1', known = 1 } = {},
): Promise<readonly [number, number]> {
  const keys = ['{ebb}:limit:gateways', key];
  const args = [gateway, 0, known, spent, age, waiting, SECOND, seen];
  const answer = (await redis.eval(script, keys.length, ...keys, ...args)) as string[];
  return [Number(answer[2]), Number(answer[3])];
}

const fresh = (): string => `{ebb}:limit:${++named}`;

/** That `found` is what was expected, but for the milliseconds that the test takes. */
function expectNear(found: number, expected: number): void {
  expect(found).toBeLessThanOrEqual(expected);
  expect(found).toBeGreaterThan(expected - 200_000);
}

it('adds what gateways report, whatever it is, and says how many they are', async () => {
  const key = fresh();
  const [first] = await report(key, { spent: 3 * SECOND });
  expectNear(first, 3 * SECOND);
  const [second, users] = await report(key, { spent: 4 * SECOND }, { gateway: 'edge-2' });
  expectNear(second, 7 * SECOND);
  expect(users).toBe(2);
});

it('counts an idle bucket from when the first of it was let through', async () => {
  const [full] = await report(fresh(), { spent: SECOND, age: 250_000 });
  expectNear(full, 750_000);
});

it('forgets a gateway that has not come for a second, and a key that nobody uses', async () => {
  const key = fresh();
  await report(key, { spent: 1 }, { gateway: 'edge-2' });
  await vi.waitFor(async () => expect((await report(key, { spent: 1 }))[1]).toBe(1), {
    timeout: 5_000,
    interval: 50,
  });
  const left = await redis.pttl(key);
  expect(left).toBeGreaterThan(2_000);
  expect(left).toBeLessThan(4_000);
});

it('takes all gateways for users of a key that nobody has used, until it has seen who comes', async () => {
  await report(fresh(), { spent: 1 }, { gateway: 'edge-7' });
  const key = fresh();
  expect((await report(key, { spent: 1 }))[1]).toBeGreaterThanOrEqual(2);
  await vi.waitFor(async () => expect((await report(key, { spent: 1 }))[1]).toBe(1), {
    timeout: 5_000,
    interval: 20,
  });
});

it('adds nothing that comes later than its gateway waits, and says what time it is', async () => {
  const key = fresh();
  const [seconds = '', micros = ''] = (await redis.call('TIME')) as string[];
  const now = Number(seconds) * SECOND + Number(micros);
  const args = ['edge-1', now - SECOND, 1, SECOND, 0, 0, SECOND, 0];
  const answer = (await redis.eval(script, 2, '{ebb}:limit:gateways', key, ...args)) as string[];
  expect(answer).toHaveLength(1);
  expect(Number(answer[0])).toBeGreaterThanOrEqual(now);
  expect(await redis.exists(key)).toBe(0);
});

it('settles what was let through while it was away by the share of each, whoever comes first', async () => {
  const key = fresh();
  // Ten seconds, in which each of two gateways let through its half, and one of them a second of the rate more.
  const [first] = await report(key, { spent: 5 * SECOND, age: 10 * SECOND }, { known: 2 });
  expectNear(first, 0);
  const [full] = await report(key, { spent: 6 * SECOND, age: 10 * SECOND }, { gateway: 'edge-2', known: 2 });
  expectNear(full, SECOND);
});

it('does not give back what passed while it was away to who reports a part of it first', async () => {
  const key = fresh();
  const [seconds = '', micros = ''] = (await redis.call('TIME')) as string[];
  const before = (Number(seconds) - 10) * SECOND + Number(micros);
  // Ten seconds ago the bucket was spent; since then each of two gateways has had its half.
  await redis.zadd(key, before, 'edge-2', -(before + SECOND), '@until', -before, '@since');
  const waiting = 10 * SECOND;
  await report(key, { spent: 50_000, age: 100_000, waiting }, { known: 2 });
  const rest = { spent: 4_950_000, age: 9_900_000 };
  const [full] = await report(key, rest, { known: 2 });
  expect(full).toBeGreaterThan(SECOND - 200_000);
  expect(full).toBeLessThanOrEqual(SECOND);
});

it('takes a gateway’s word for a bucket that it has lost', async () => {
  const [full] = await report(fresh(), { spent: SECOND, seen: 2 * SECOND });
  expectNear(full, 3 * SECOND);
});

it('notices by reports from the future that its clock was set back', async () => {
  const key = fresh();
  const [seconds = ''] = (await redis.call('TIME')) as string[];
  const ahead = (Number(seconds) + 3_600) * SECOND;
  // As an hour before it was set back: the bucket is full two seconds later.
  await redis.zadd(key, ahead, 'edge-2', -(ahead + 2 * SECOND), '@until', -ahead, '@since');
  const [full] = await report(key, { spent: SECOND });
  expectNear(full, 3 * SECOND);
});
