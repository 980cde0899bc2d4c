import { request } from 'undici';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ProxyMode, TcpProxy } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { measured } from './harness/measured.js';
import { ControlledPlatform, type ControlledGateway } from './harness/controlled_platform.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;

/** A connection that is open and carries nothing must be noticed within this. */
const NOTICED_MS = 3_000;
const HEALED_MS = 5_000;

beforeAll(async () => {
  platform = await ControlledPlatform.start({ doors: true });
  [one] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());
afterEach(async () => {
  for (const each of platform.doors.values()) each.setMode('pass');
  await platform.ready();
  await platform.undrain(one.id);
});

const door = (name: string): TcpProxy => {
  const found = platform.doors.get(name);
  if (found === undefined) throw new Error(`no door is called ${name}`);
  return found;
};

/** What a gateway says of its Redis. */
async function redisOf(gateway: ControlledGateway): Promise<boolean> {
  const answer = await request(`${gateway.adminUrl}/readyz`);
  const { redis } = (await answer.body.json()) as { readonly redis: { readonly state: string } };
  return redis.state === 'connected';
}

/** What the controller says of its own. */
async function redisOfController(): Promise<boolean> {
  const { body } = await platform.call<{ readonly redis: { readonly state: string } }>('GET', '/readyz');
  return body.redis.state === 'ok';
}

async function within(ms: number, what: string, probe: () => Promise<boolean>): Promise<void> {
  const began = performance.now();
  await until(what, probe, { timeoutMs: ms + 10_000 });
  expect(measured(what, performance.now() - began)).toBeLessThan(ms);
}

const HALF_OPEN: readonly ProxyMode[] = ['swallow', 'swallow_answers'];

test.each(HALF_OPEN)(
  'a gateway behind a half-open connection (%s) notices, is waited for, and heals',
  async (mode) => {
    const [, second] = platform.gateways;
    await using traffic = platform.traffic();
    await until('it is connected', () => redisOf(second!));
    door('gateway-2').setMode(mode);
    await within(NOTICED_MS, `half-open (${mode}), gateway → notices`, async () => !(await redisOf(second!)));
    const id = await platform.drain(one.id);
    await until('the gateway is waited for by name', async () => {
      const { waiting_for, state } = await platform.operation(id);
      expect(state).toBe('running');
      return waiting_for.length === 1 && (waiting_for[0] ?? '').startsWith('gateway gateway-2');
    });
    const before = traffic.total();
    await until('it serves on', () => traffic.total() > before + 100);
    door('gateway-2').setMode('pass');
    await within(
      HEALED_MS,
      `half-open (${mode}), gateway, mended → on the newest sets`,
      async () => (await platform.service()).convergence?.converged === true,
    );
    expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
    await platform.undrain(one.id);
    expect(await traffic.stop()).toEqual([]);
  },
);

test.each(HALF_OPEN)(
  'a controller behind half-open connections (%s) notices, claims nothing, and heals',
  async (mode) => {
    await using traffic = platform.traffic();
    await until('it is connected', redisOfController);
    door('controller').setMode(mode);
    await within(
      NOTICED_MS,
      `half-open (${mode}), controller → notices`,
      async () => !(await redisOfController()),
    );
    const id = await platform.drain(one.id);
    expect(await platform.operation(id)).toMatchObject({ state: 'running', result: null });
    await until('every gateway is unknown to it', async () =>
      (await platform.fleet()).every(({ state }) => state === 'unknown'),
    );
    expect(await platform.operation(id)).toMatchObject({ state: 'running', result: null, published: false });
    door('controller').setMode('pass');
    await within(
      HEALED_MS,
      `half-open (${mode}), controller, mended → everybody on the newest sets`,
      async () => (await redisOfController()) && (await platform.service()).convergence?.converged === true,
    );
    expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
    const before = one.requests();
    const sent = traffic.total();
    await until('more traffic', () => traffic.total() > sent + 100);
    expect(one.requests()).toBe(before);
    await platform.undrain(one.id);
    expect(await traffic.stop()).toEqual([]);
  },
);
