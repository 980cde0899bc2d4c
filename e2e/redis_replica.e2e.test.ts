import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { redisCli, type TcpProxy } from '../control-plane/src/testkit.js';
import { ControlledPlatform, type ControlledGateway } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;

/** A change is on every gateway within this, whatever the replica does. */
const FRESH_MS = 5_000;
/** A replica that was left is read again no sooner. */
const STEADY_MS = 10_000;

beforeAll(async () => {
  platform = await ControlledPlatform.start({ doors: true, replica: true });
  [one] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());
beforeEach(async () => {
  // Workers of a reload read from the replica as soon as it is well, whatever those before have seen of it.
  for (const { process } of platform.gateways) {
    const old = process.workers();
    await process.reload();
    await until(
      'its new workers read from the replica',
      () => readers(process.errorLog).some((pid) => !old.includes(pid)),
      { timeoutMs: 30_000 },
    );
    // An idle connection to one of those ends with it.
    await until('its old workers are gone', () => !process.workers().some((pid) => old.includes(pid)));
  }
  await until('every gateway is on the newest sets', async () =>
    (await platform.fleet()).every(({ behind }) => behind === 0),
  );
});
afterEach(async () => {
  for (const each of platform.doors.values()) each.setMode('pass');
  if (!platform.replica.running()) await platform.replica.start();
  await platform.ready();
  await platform.undrain(one.id);
});

const door = (name: string): TcpProxy => {
  const found = platform.doors.get(name);
  if (found === undefined) throw new Error(`no door is called ${name}`);
  return found;
};

/** The workers that have begun to read from the replica. */
function readers(errorLog: string): readonly number[] {
  const lines = readFileSync(errorLog, 'utf8').matchAll(/ (\d+)#\d+: .*sets are read from the replica/g);
  return [...lines].map(([, pid]) => Number(pid));
}

/** What a gateway says of itself: from where it reads sets, and how far it is. */
async function stateOf(
  gateway: ControlledGateway,
): Promise<{ readonly sets_from: string; readonly applied: { readonly generation: number } }> {
  const answer = await request(`${gateway.adminUrl}/readyz`);
  return (await answer.body.json()) as Awaited<ReturnType<typeof stateOf>>;
}

async function sourceOf(gateway: ControlledGateway): Promise<string> {
  return (await stateOf(gateway)).sets_from;
}

/** The newest generation at the primary. */
async function newest(): Promise<number> {
  return Number(await platform.data.hget('{ebb}:meta', 'generation'));
}

async function readFrom(source: 'primary' | 'replica'): Promise<void> {
  await until(
    `every gateway reads from the ${source}`,
    async () => {
      const all = await Promise.all(platform.gateways.map(sourceOf));
      return all.every((each) => each === source);
    },
    { timeoutMs: 60_000 },
  );
}

/** The metric of a gateway. */
async function metricOf(gateway: ControlledGateway, name: string): Promise<number> {
  const text = await (await request(`${gateway.adminUrl}/metrics`)).body.text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1],
  );
}

function onReplica(...args: readonly string[]): string {
  return redisCli(platform.replica.port, ...args);
}

/** How many generations the replica is behind. */
async function lag(): Promise<number> {
  return (await newest()) - Number(onReplica('HGET', '{ebb}:meta', 'generation'));
}

async function positions(): Promise<readonly number[]> {
  return (await platform.fleet()).map(
    ({ applied }) => (applied?.epoch ?? 0) * 1e6 + (applied?.generation ?? 0),
  );
}

/** Drains while `broken` is in force: proven within FRESH_MS, and true. */
async function drainsInTime(what: string): Promise<void> {
  const [at, began] = [await positions(), performance.now()];
  expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
  expect(measured(`${what} → drained on every gateway`, performance.now() - began)).toBeLessThan(FRESH_MS);
  (await positions()).forEach((now, index) => expect(now).toBeGreaterThan(at[index] ?? Infinity));
  const [before, probe] = [one.requests(), platform.traffic()];
  await until('traffic on the newest sets', () => probe.total() > 100);
  expect(await probe.stop()).toEqual([]);
  expect(one.requests()).toBe(before);
}

test('a lagging replica: the drain is not proven until the primary is read, and then it is true', async () => {
  await using traffic = platform.traffic();
  const at = await positions();
  door('replica').setMode('hold_answers');
  const [began, drain] = [performance.now(), await platform.drain(one.id)];
  await until('it is published', async () => (await platform.operation(drain)).published);
  // Alive, on the sets of before, and so acking those: both are waited for while one serves on.
  const sent = one.requests();
  await until('requests go on to the instance', () => one.requests() > sent + 10);
  const { state, result, waiting_for } = await platform.operation(drain);
  expect([state, result]).toEqual(['running', null]);
  expect(
    waiting_for.filter((each) => /^gateway gateway-[12] /.test(each)),
    waiting_for.join(),
  ).toHaveLength(2);
  expect(await positions()).toEqual(at);
  expect((await platform.fleet()).map((each) => each.state)).toEqual(['live', 'live']);
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  expect(measured('lagging replica: drain asked → drained', performance.now() - began)).toBeLessThan(
    FRESH_MS,
  );
  const drained = one.requests();
  expect(await lag()).toBeGreaterThan(0);
  await readFrom('primary');
  for (const gateway of platform.gateways) {
    expect(await metricOf(gateway, 'ebbgate_sets_from_replica')).toBe(0);
    expect(await metricOf(gateway, 'ebbgate_problem{kind="replica"}')).toBe(1);
    await until('the controller knows why', async () =>
      (await platform.cli('describe', 'gateway', gateway.id)).stdout.includes('the replica is late'),
    );
  }
  const sentLater = traffic.total();
  await until('more traffic', () => traffic.total() > sentLater + 100);
  expect(one.requests()).toBe(drained);
  const mended = performance.now();
  door('replica').setMode('pass');
  await readFrom('replica');
  expect(measured('replica mended → read again', performance.now() - mended)).toBeGreaterThan(
    STEADY_MS - 1_500,
  );
  for (const gateway of platform.gateways) {
    expect(await metricOf(gateway, 'ebbgate_sets_from_replica')).toBe(1);
    expect(await metricOf(gateway, 'ebbgate_problem{kind="replica"}')).toBe(0);
  }
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

/** What a replica may do; afterwards it is as it was, and well. */
const FAULTS: readonly {
  readonly what: string;
  readonly break: () => void | Promise<void>;
  readonly mend: () => void | Promise<void>;
}[] = [
  {
    what: 'frozen',
    break: () => platform.replica.freeze(),
    mend: () => {
      platform.replica.thaw();
    },
  },
  { what: 'killed', break: () => platform.replica.kill(), mend: () => platform.replica.start() },
  {
    what: 'cut off from its primary',
    break: () => {
      door('replica').setMode('cut');
    },
    mend: () => {
      door('replica').setMode('pass');
    },
  },
  {
    what: 'cut off, and refusing to serve old data (MASTERDOWN)',
    break: () => {
      onReplica('CONFIG', 'SET', 'replica-serve-stale-data', 'no');
      door('replica').setMode('cut');
    },
    mend: () => {
      onReplica('CONFIG', 'SET', 'replica-serve-stale-data', 'yes');
      door('replica').setMode('pass');
    },
  },
  {
    what: 'promoted while its primary lives on',
    break: () => {
      onReplica('REPLICAOF', 'NO', 'ONE');
    },
    mend: () => {
      onReplica('REPLICAOF', '127.0.0.1', String(door('replica').port));
    },
  },
  {
    what: 'emptied',
    break: () => {
      onReplica('REPLICAOF', 'NO', 'ONE');
      onReplica('FLUSHALL');
    },
    mend: () => {
      onReplica('REPLICAOF', '127.0.0.1', String(door('replica').port));
    },
  },
  {
    what: 'loading its data (LOADING)',
    break: async () => {
      for (const [name, value] of [
        ['key-load-delay', '500000'],
        ['loading-process-events-interval-bytes', '1024'],
      ] as const)
        onReplica('CONFIG', 'SET', name, value);
      onReplica('REPLICAOF', 'NO', 'ONE');
      onReplica('SET', 'other', 'history');
      onReplica('REPLICAOF', '127.0.0.1', String(door('replica').port));
      await until('it loads', () => isLoading());
    },
    mend: () => platform.replica.restart(),
  },
];

function isLoading(): boolean {
  try {
    onReplica('GET', 'other');
    return false;
  } catch (error) {
    return String(error).includes('LOADING');
  }
}

/** The short run tries one of each kind: it does not answer, it answers with errors, it has another history. */
const SHORT = ['frozen', 'cut off, and refusing to serve old data (MASTERDOWN)', 'emptied'];
const tried = FAULTS.filter(({ what }) => process.env.EBBGATE_LONG !== undefined || SHORT.includes(what));

test.each(tried.map((fault) => [fault.what, fault] as const))(
  'a replica that is %s: no request fails, and a change is everywhere in time',
  async (_, fault) => {
    await using traffic = platform.traffic();
    await fault.break();
    await drainsInTime(`replica ${fault.what}`);
    await readFrom('primary');
    await fault.mend();
    await platform.undrain(one.id);
    await until(
      'traffic on the newest sets',
      async () => (await platform.service()).convergence?.converged === true,
    );
    expect(await traffic.stop()).toEqual([]);
  },
);

test('a gateway that is cut off from the primary follows the replica, and proves nothing', async () => {
  await using traffic = platform.traffic();
  door('gateway-2').setMode('cut');
  const drain = await platform.drain(one.id);
  await until('gateway-2 is waited for', async () => {
    const { waiting_for } = await platform.operation(drain);
    return waiting_for.length === 1 && /gateway-2/.test(waiting_for[0] ?? '');
  });
  await until('it has the set all the same', async () => {
    const { applied } = await stateOf(platform.gateways[1]!);
    return applied.generation >= (await newest());
  });
  const before = one.requests();
  const sent = traffic.total();
  await until('more traffic', () => traffic.total() > sent + 200);
  expect(one.requests()).toBe(before);
  expect(await platform.operation(drain)).toMatchObject({ state: 'running', result: null });
  expect(await sourceOf(platform.gateways[1]!)).toBe('replica');
  door('gateway-2').setMode('pass');
  expect(await platform.ended(drain)).toMatchObject({ result: 'drained' });
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('a gateway that starts has what the primary has before it serves, however late its replica is', async () => {
  const [first] = platform.gateways;
  await using traffic = platform.traffic({}, [platform.gateways[1]!]);
  door('replica').setMode('hold_answers');
  expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
  const drained = one.requests();
  await first!.kill();
  rmSync(join(first!.place.dir, 'state'), { recursive: true, force: true });
  await first!.start();
  await using mine = platform.traffic({}, [first!]);
  await until('it serves', () => mine.total() > 100);
  expect(await sourceOf(first!)).toBe('primary');
  expect(await mine.stop()).toEqual([]);
  expect(one.requests()).toBe(drained);
  expect(await lag()).toBeGreaterThan(0);
  expect(await traffic.stop()).toEqual([]);
});
