import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import { REDIS_FAULTS } from './harness/redis_faults.js';
import { attempt, startRedisServers, type RedisServers, type Topology } from './harness/redis_servers.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { until } from './harness/until.js';

/** Everybody on the newest sets within this, once Redis is well. */
const HEALED_MS = 5_000;
/** Between two looks at how far a gateway is. */
const LOOK_MS = 50;

const TOPOLOGIES: readonly Topology[] = ['one server', 'Sentinel', 'Cluster'];

/** The long run tries each fault on each topology that has it, the short one on one of them in turn. */
function isTried(on: readonly Topology[], n: number, topology: Topology): boolean {
  if (process.env.EBBGATE_LONG !== undefined) return on.includes(topology);
  return on[n % on.length] === topology;
}

describe.each(TOPOLOGIES)('Redis as %s', (topology) => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-servers-'));
  let servers: RedisServers;
  let platform: ControlledPlatform;
  let one: RegisteredInstance;

  beforeAll(async () => {
    servers = await startRedisServers(topology, dir);
    platform = await ControlledPlatform.start({
      env: { EBBGATE_REDIS: servers.url },
      gateway: { redis: servers.url },
    });
    [one] = await Promise.all([platform.startInstance(), platform.startInstance()]);
    await platform.route();
  });
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    for (const { server } of servers.holders) server.child.kill('SIGCONT');
    await servers[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Every gateway has applied all that is sealed at the server that may be written. */
  async function isHealed(): Promise<boolean> {
    const { port } = servers.writable();
    const [epoch, generation, sealed] = attempt(
      port,
      'HMGET',
      '{ebb}:meta',
      'epoch',
      'generation',
      'sealed',
    ).split('\n');
    if (sealed !== '1') return false;
    const fleet = await platform.fleet();
    return fleet.every(
      ({ state, applied }) =>
        state === 'live' && applied?.epoch === Number(epoch) && applied.generation >= Number(generation),
    );
  }

  const noticed = async (): Promise<void> => {
    await until('the controller says so', async () => (await platform.call('GET', '/readyz')).status === 503);
  };

  const faults = REDIS_FAULTS.filter((fault, n) => isTried(fault.on, n, topology)).map(
    (fault) => [fault.what, fault] as const,
  );

  test.each(faults)(
    '%s: no request fails, no gateway goes back, what is decided meanwhile is true',
    async (what, fault) => {
      await servers.settled();
      await platform.ready();
      await platform.undrain(one.id);
      await using traffic = platform.traffic();
      await using watch = watchPositions(platform);
      await fault.before?.(servers);
      expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
      await platform.undrain(one.id);
      await fault.inflict(servers, noticed);
      const drain = await platform.drain(one.id);
      await fault.mend(servers);
      const mended = performance.now();
      expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
      const drained = one.requests();
      await until('everybody is on the newest sets', isHealed, { timeoutMs: 30_000 });
      expect(
        measured(`${topology}: ${what} → newest sets everywhere, a drain proven`, performance.now() - mended),
      ).toBeLessThan(HEALED_MS);
      const sent = traffic.total();
      await until('more traffic', () => traffic.total() > sent + 100);
      expect(one.requests()).toBe(drained);
      await platform.undrain(one.id);
      await until('it is used again', () => one.requests() > drained + 20);
      expect(await traffic.stop()).toEqual([]);
      expect(watch.steps()).toBeGreaterThan(10);
      expect(watch.back()).toEqual([]);
    },
  );
});

/** Looks all the time how far each gateway is. */
function watchPositions(platform: ControlledPlatform): AsyncDisposable & {
  steps(): number;
  /** Where a gateway was below what it had been before. */
  back(): readonly string[];
} {
  const highest = new Map<string, readonly [number, number]>();
  const back: string[] = [];
  let [steps, over] = [0, false];
  const look = async (id: string, url: string): Promise<void> => {
    const answer = await request(`${url}/readyz`);
    const { applied } = (await answer.body.json()) as {
      applied: { epoch: number; generation: number } | null;
    };
    if (applied === null) return;
    const [epoch, generation] = highest.get(id) ?? [0, 0];
    if (applied.epoch < epoch || (applied.epoch === epoch && applied.generation < generation))
      back.push(
        `${id} went from ${String(epoch)}:${String(generation)} to ${String(applied.epoch)}:${String(applied.generation)}`,
      );
    highest.set(id, [applied.epoch, applied.generation]);
    steps += 1;
  };
  const done = (async () => {
    while (!over) {
      await Promise.all(platform.gateways.map(({ id, adminUrl }) => look(id, adminUrl)));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  })();
  return {
    steps: () => steps,
    back: () => back,
    [Symbol.asyncDispose]: () => {
      over = true;
      return done;
    },
  };
}
