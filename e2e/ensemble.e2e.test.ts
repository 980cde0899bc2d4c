// Longer than other files: one set of servers, and all that breaks it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  connect,
  createRecordingLog,
  systemClock as clock,
  ZooKeeperLink,
  type ProxyMode,
  type ServiceEvent,
  type TcpProxy,
} from '../control-plane/src/testkit.js';
import { ControlledPlatform, type AnotherController } from './harness/controlled_platform.js';
import { Ensemble } from './harness/ensemble.js';
import { measured } from './harness/measured.js';
import { PROVIDER_SESSION_MS, type RegisteredInstance } from './harness/registered_instance.js';
import { timePasses, until } from './harness/until.js';

/*
 * Three ZooKeeper servers, two controllers, live traffic, and somebody who changes weights all the time: members that die, networks
 * that lose one direction, packets that come late. No request fails, and nothing that is late is obeyed.
 */

const SESSION_MS = 1_000;
const REPEATED = process.env.EBBGATE_LONG !== undefined;
const ROUNDS = REPEATED ? 8 : 1;

interface Controller extends AnotherController {
  /** Its own way to each member. */
  readonly doors: readonly TcpProxy[];
}

let platform: ControlledPlatform;
let ensemble: Ensemble;
let controllers: readonly Controller[];
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  const env = { EBBGATE_ZOOKEEPER_SESSION: '1s', EBBGATE_SETTLE: '5s' };
  platform = await ControlledPlatform.start({ ensemble: true, env });
  ensemble = platform.ensemble;
  instances = await Promise.all([1, 2, 3].map(() => platform.startInstance()));
  await platform.route();
  const add = async (id: string): Promise<Controller> => {
    const doors = await ensemble.doors();
    const servers = doors.map(({ port }) => `127.0.0.1:${String(port)}`).join(',');
    const added = await platform.addController(id, { ...env, EBBGATE_ZOOKEEPER: servers });
    return Object.assign(added, { doors });
  };
  // The first one goes: both that stay are alike.
  controllers = [await add('one'), await add('two')];
  await platform.controller.stop();
  await leader();
});
afterAll(() => platform[Symbol.asyncDispose]());

async function get<T>(api: string, path: string): Promise<T> {
  const { body } = await request(`${api}${path}`, { headersTimeout: 1_000, bodyTimeout: 1_000 });
  return (await body.json()) as T;
}

interface Readiness {
  readonly ready: boolean;
  readonly controller: { readonly state: string };
  readonly zookeeper: { readonly state: string };
}

/** The controller that leads and is ready. */
function leader(among: readonly Controller[] = controllers): Promise<Controller> {
  return until(
    'a controller leads',
    async () => {
      for (const one of among) {
        const says = await get<Readiness>(one.api, '/readyz').catch(() => null);
        if (says?.ready === true && says.controller.state === 'leading') return one;
      }
      return undefined;
    },
    { timeoutMs: 30_000 },
  );
}

function setDoors({ doors }: Controller, mode: ProxyMode): void {
  for (const door of doors) door.setMode(mode);
}

/** Sends one change of a weight to a controller; resolves with the status, or 0 without an answer. */
async function weigh(api: string, weight: number, key: string, which = 0): Promise<number> {
  const path = `/v1/services/shop/instances/${encodeURIComponent(instances[which]!.id)}`;
  try {
    const answer = await request(`${api}${path}`, {
      method: 'PATCH',
      headers: {
        ...{ 'content-type': 'application/json', 'if-match': '*', 'idempotency-key': key },
        'x-ebbgate-actor': 'ann',
      },
      body: JSON.stringify({ weight }),
      headersTimeout: 2_000,
    });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return 0;
  }
}

let lastWeight = 1_000;

/** Somebody who changes a weight all the time, at whichever controller answers. */
class Person implements AsyncDisposable {
  answered = 0;
  /** The longest time without an answer, in milliseconds. */
  longest = 0;
  readonly #stop = new AbortController();
  readonly #running = this.#run();

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves after three more changes were answered. */
  async goesOn(): Promise<void> {
    const before = this.answered;
    await until('changes go on', () => this.answered > before + 2, { timeoutMs: 30_000 });
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted;) {
      lastWeight += 1;
      const began = performance.now();
      while ((await weigh(controllers[turn++ % 2]!.api, lastWeight, `weight-${String(lastWeight)}`)) !== 200)
        await timePasses('between two tries', 20);
      this.answered += 1;
      this.longest = Math.max(this.longest, performance.now() - began);
      await timePasses('a person needs a moment', 20);
    }
  }
}

async function eligible(): Promise<number> {
  const { peers } = await platform.published();
  return peers.filter(({ state, weight, down }) => /up|suspect/.test(state) && weight > 0 && !down).length;
}

/** Plays `breaks` under traffic and changes: no request may fail, and nobody leaves the published set. */
async function underTraffic(breaks: (person: Person) => Promise<void>): Promise<void> {
  await using traffic = platform.traffic();
  let fewest = Infinity;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      fewest = Math.min(fewest, await eligible());
      await timePasses('until the next look', 50);
    }
  })();
  try {
    await using person = new Person();
    await person.goesOn();
    await breaks(person);
    await person.goesOn();
  } finally {
    watching.abort();
    await watch;
  }
  expect(fewest).toBe(instances.length);
  await until('the last change is published', async () => {
    const { peers } = await platform.published();
    return peers.find(({ id }) => id === instances[0]!.id)?.weight === lastWeight;
  });
  expect(await traffic.stop()).toEqual([]);
}

/** All instances are registered, as whoever leads sees it, and nothing is protected any more. */
async function complete(): Promise<void> {
  const { api } = await leader();
  await until(
    'every instance is registered, and nothing is protected',
    async () => {
      const { items } = await get<{
        readonly items: readonly { readonly id: string; readonly registered: boolean }[];
      }>(api, '/v1/services/shop/instances');
      const { protection } = await get<{ readonly protection: string | null }>(api, '/v1/services/shop');
      return items.length === 3 && items.every(({ registered }) => registered) && protection === null;
    },
    { timeoutMs: 30_000 },
  );
}

test.runIf(REPEATED)('a member that lags: what it says is of the past, after a sync it is not', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-lag-'));
  const lagging = await Ensemble.start(dir, { lags: true });
  if ((await lagging.leader()).id === 1) {
    await lagging.members[0]!.kill();
    await lagging.mend();
  }
  const open = async (port: number) => {
    const options = { sessionTimeoutMs: 10_000, connectTimeoutMs: 5_000, clock };
    const opened = await connect({ server: { host: '127.0.0.1', port }, ...options });
    if (!opened.ok) throw new Error(opened.error);
    return opened.value;
  };
  const [reader, writer] = [await open(lagging.ports[0]!), await open((await lagging.leader()).port)];
  const textOf = async (): Promise<string | undefined> => {
    const read = await reader.getData('/lag');
    return read.ok ? read.value.data.toString() : undefined;
  };
  expect(await writer.create('/lag', Buffer.from('old'))).toMatchObject({ ok: true });
  expect(await reader.sync('/lag')).toMatchObject({ ok: true });
  for (const door of lagging.laggard) door.setMode('hold_answers');
  expect(await writer.setData('/lag', Buffer.from('new'), -1)).toMatchObject({ ok: true });
  expect(await textOf()).toBe('old');
  // As every store reads: the read is sent right behind the sync.
  let released = false;
  const synced = reader.sync('/lag').then(() => released);
  const read = textOf();
  await timePasses('the sync has to wait', 300);
  released = true;
  for (const door of lagging.laggard) door.setMode('pass');
  expect(await synced).toBe(true);
  expect(await read).toBe('new');
  await Promise.all([reader.close(), writer.close()]);
  await lagging[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

test('members that answer nothing when a client starts: the next one is asked within a bounded time', async () => {
  const doors = await ensemble.doors();
  for (const door of doors.slice(0, 2)) door.setMode('swallow');
  const link = new ZooKeeperLink({
    connect: doors.map(({ port }) => `127.0.0.1:${String(port)}`).join(','),
    ...{ sessionTimeoutMs: 3_000, log: createRecordingLog(), clock, random: () => 0 },
  });
  const began = performance.now();
  await link.start();
  await until('it is connected', () => link.connection !== null);
  const took = performance.now() - began;
  measured('ensemble: two of three members black-holed → connected', took);
  expect(took).toBeGreaterThan(2_000); // both were tried first
  expect(took).toBeLessThan(5_000);
  await link.close();

  const { api, doors: own } = controllers[1]!;
  for (const door of own.slice(0, 2)) door.setMode('swallow');
  const started = performance.now();
  await controllers[1]!.restart();
  await until('the controller has both links', async () => {
    const { zookeeper, controller } = await get<Readiness>(api, '/readyz');
    return zookeeper.state === 'ok' && ['standby', 'leading'].includes(controller.state);
  });
  measured(
    'ensemble: a controller starts with two members black-holed → connected',
    performance.now() - started,
  );
  expect(performance.now() - started).toBeLessThan(12_000);
  setDoors(controllers[1]!, 'pass');
});

test('the leader of the ensemble is killed: no request fails, and changes go on within seconds', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    await underTraffic(async (person) => {
      await (await ensemble.leader()).kill();
      const killed = performance.now();
      await ensemble.leader();
      measured('ensemble: leader killed → ZooKeeper has the next one', performance.now() - killed);
      await leader();
      measured('ensemble: leader killed → a controller leads and is ready', performance.now() - killed);
      await person.goesOn();
      measured('ensemble: leader killed → the next change is answered', person.longest);
      expect(person.longest).toBeLessThan(15_000);
      await ensemble.mend();
    });
    await complete();
  }
});

test('no quorum for longer than every session: the sets are held, and nobody is taken out when it is back', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    await underTraffic(async () => {
      const gone = [await ensemble.leader()];
      gone.push(ensemble.members.find((one) => !gone.includes(one))!);
      for (const one of gone) await one.kill();
      const lost = performance.now();
      await until('both controllers say so', async () => {
        const all = await Promise.all(controllers.map(({ api }) => get<Readiness>(api, '/readyz')));
        return all.every(({ ready, zookeeper }) => !ready && zookeeper.state !== 'ok');
      });
      expect(await weigh(controllers[0]!.api, 1, 'without-quorum')).toBe(503);
      await until(
        'every session would have ended',
        () => performance.now() - lost > PROVIDER_SESSION_MS + SESSION_MS,
      );
      await ensemble.mend();
      const back = performance.now();
      await complete();
      measured('ensemble: quorum back → registry complete, nothing protected', performance.now() - back);
    });
  }
});

const ONE_WAY = REPEATED
  ? (['swallow_answers', 'swallow_requests'] as const)
  : (['swallow_answers'] as const);
test.each(ONE_WAY)(
  'the leading controller loses one direction (%s): the other one leads, and the first writes nothing',
  async (mode) => {
    for (let round = 0; round < ROUNDS; round += 1)
      await underTraffic(async (person) => {
        const cut = await leader();
        const others = controllers.filter((one) => one !== cut);
        const began = performance.now();
        setDoors(cut, mode);
        await leader(others);
        measured(
          `ensemble: ${mode} at the leading controller → another one is ready`,
          performance.now() - began,
        );
        expect(performance.now() - began).toBeLessThan(SESSION_MS + 5_000);
        const epoch = await platform.data.hget('{ebb}:meta', 'epoch');
        await person.goesOn();
        setDoors(cut, 'pass');
        await until('it is a standby', async () => {
          const { controller, zookeeper } = await get<Readiness>(cut.api, '/readyz');
          return controller.state === 'standby' && zookeeper.state === 'ok';
        });
        expect(await platform.data.hget('{ebb}:meta', 'epoch')).toBe(epoch);
      });
  },
);

/** Takes the leading controller's place in the election away, as its session's end would, and waits for the next epoch. */
async function depose(): Promise<void> {
  const server = { host: '127.0.0.1', port: (await ensemble.leader()).port };
  const opened = await connect({ server, sessionTimeoutMs: 10_000, connectTimeoutMs: 5_000, clock });
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  const epoch = async (): Promise<number> => {
    const found = await client.getData('/ebbgate/epoch');
    if (!found.ok) throw new Error(found.error.message);
    return found.value.stat.version;
  };
  const before = await epoch();
  const places = await client.getChildren('/ebbgate/controllers');
  if (!places.ok) throw new Error(places.error.message);
  const [first] = [...places.value.names].sort((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1));
  expect(await client.remove(`/ebbgate/controllers/${first!}`, -1)).toMatchObject({ ok: true });
  await until('another controller has the next epoch', async () => (await epoch()) > before);
  await client.close();
}

// Where its session has ended, ZooKeeper has closed the connection; where it lives, the fence alone refuses what comes late.
test.each(REPEATED ? ['lives', 'has ended'] : ['lives'])(
  'what the leading controller sent is delivered after another one leads, and its session %s: none of it is obeyed',
  async (session) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const held = await leader();
      const others = controllers.filter((one) => one !== held);
      const late = Array.from({ length: 20 }, (_, n) => 900 + n);
      const inDoors = (): number => held.doors.reduce((sum, door) => sum + door.held(), 0);
      let answered: readonly number[] = [];
      await underTraffic(async (person) => {
        setDoors(held, 'hold_requests');
        const keys = late.map((weight) => `late-${session}-${String(round)}-${String(weight)}`);
        const sent = Promise.all(late.map((weight, n) => weigh(held.api, weight, keys[n]!, 1)));
        await until('its writes are held', () => inDoors() > 1_000);
        if (session === 'lives') {
          await depose();
          // ZooKeeper has not closed the connection: what waits will be read.
          expect(inDoors()).toBeGreaterThan(1_000);
        } else {
          await leader(others);
          await person.goesOn();
        }
        setDoors(held, 'pass');
        answered = await sent;
        await until('all is delivered', () => inDoors() === 0);
        await until('it is a standby', async () => {
          const { controller, zookeeper } = await get<Readiness>(held.api, '/readyz');
          return controller.state === 'standby' && zookeeper.state === 'ok';
        });
        await person.goesOn();
      });
      expect(answered).not.toContain(200);
      const { items } = await get<{ readonly items: readonly ServiceEvent[] }>(
        others[0]!.api,
        '/v1/services/shop/events',
      );
      const setTo = (weight: number) =>
        items.some(({ message }) => message.includes(`set to ${String(weight)}`));
      expect(setTo(lastWeight)).toBe(true); // the words are these
      expect(late.filter(setTo)).toEqual([]);
      const { peers } = await platform.published();
      expect(peers.find(({ id }) => id === instances[1]!.id)?.weight).toBe(100);
    }
  },
);
