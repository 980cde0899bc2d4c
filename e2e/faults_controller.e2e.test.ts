import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';
import type { MutationResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { openRequest } from './harness/open_request.js';
import { measured } from './harness/measured.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { Streams } from './harness/streams.js';
import { timePasses, until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;
let two: RegisteredInstance;
let traffic: Streams;
let keys = 0;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [one, two] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());
beforeEach(() => {
  traffic = platform.traffic({ rate: 40 });
});
afterEach(async () => {
  const failed = await traffic.stop();
  await platform.undrain(one.id);
  expect(failed).toEqual([]);
});

/** Kills the controller, if it lives, and starts it again; resolves once it leads. */
async function restart(): Promise<void> {
  if (platform.controller.running()) await platform.controller.kill();
  const began = performance.now();
  await platform.controller.start();
  await platform.ready();
  measured('controller killed and started again → the leader and ready', performance.now() - began);
}

/** The drain of `one` by a key, as it is sent again after an answer was lost. */
async function drainByKey(key: string): Promise<{ readonly status: number; readonly operation: string }> {
  const path = `/v1/services/shop/instances/${one.id}/drain`;
  const headers = { 'idempotency-key': key };
  const body = { timeout: '60s', reason: 'again and again' };
  const answer = await platform.call<MutationResource>('POST', path, body, headers);
  return { status: answer.status, operation: answer.body.operation?.id ?? JSON.stringify(answer.body) };
}

/** How many operations there are. */
async function operations(): Promise<number> {
  const { body } = await platform.call<{ readonly items: readonly { readonly id: string }[] }>(
    'GET',
    '/v1/operations',
  );
  return body.items.length;
}

/** The drain is over, proven, and no request comes any more; the key still gives the first answer. */
async function endsRight(operation: string, key: string): Promise<void> {
  expect(await platform.ended(operation)).toMatchObject({ result: 'drained', waiting_for: [] });
  const before = one.requests();
  const sent = traffic.total();
  await until('more traffic', () => traffic.total() > sent + 60);
  expect(one.requests()).toBe(before);
  expect(one.arrivals.filter(({ ended }) => ended === null)).toEqual([]);
  expect(await drainByKey(key)).toEqual({ status: 202, operation });
}

test('killed while the request is under way: the same key makes one drain of both attempts', async () => {
  for (const ms of [0, 4, 15]) {
    const key = `under-way-${String((keys += 1))}`;
    const before = await operations();
    const lost = drainByKey(key).catch(() => null);
    await timePasses('the request is under way', ms);
    await restart();
    await lost;
    const { operation } = await drainByKey(key);
    expect(await operations()).toBe(before + 1);
    await endsRight(operation, key);
    await platform.undrain(one.id);
  }
});

test('killed when the intent is written and not yet published', async () => {
  const key = `written-${String((keys += 1))}`;
  await platform.redis.freeze();
  const { operation } = await drainByKey(key);
  expect(await platform.operation(operation)).toMatchObject({ published: false, state: 'running' });
  await platform.controller.kill();
  platform.redis.thaw();
  await restart();
  await endsRight(operation, key);
});

test('killed when it is published and one gateway has not acked', async () => {
  const key = `published-${String((keys += 1))}`;
  const [, second] = platform.gateways;
  await second!.freeze();
  const { operation } = await drainByKey(key);
  try {
    await restart();
    await until('it waits for the gateway by name', async () => {
      const { state, waiting_for } = await platform.operation(operation);
      expect(state).toBe('running');
      return waiting_for.some((text) => text.includes('gateway gateway-2'));
    });
  } finally {
    second!.thaw();
  }
  await endsRight(operation, key);
});

test('killed when all have acked and a request is still open', async () => {
  const key = `acked-${String((keys += 1))}`;
  const request = await openRequest(platform.gateways[0]!.url, one);
  const { operation } = await drainByKey(key);
  await platform.converged();
  await restart();
  await until('the open request is what it waits for', async () => {
    const { waiting_for, result } = await platform.operation(operation);
    expect(result).toBeNull();
    return waiting_for.length === 1 && /gateway-1 still has 1 open request/.test(waiting_for[0] ?? '');
  });
  expect(await request.end()).toBe(200);
  await endsRight(operation, key);
});

test('killed while it is being proven and written down, and after', async () => {
  const key = `proven-${String((keys += 1))}`;
  const request = await openRequest(platform.gateways[1]!.url, one);
  const { operation } = await drainByKey(key);
  expect(await request.end()).toBe(200);
  await restart();
  await endsRight(operation, key);
  await restart();
  expect(await platform.operation(operation)).toMatchObject({ state: 'done', result: 'drained' });
  await endsRight(operation, key);
  expect(two.requests()).toBeGreaterThan(0);
});
