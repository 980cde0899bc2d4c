import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ControllerResource, ServiceEvent } from '../control-plane/src/testkit.js';
import { ControlledPlatform, type AnotherController } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { timePasses, until } from './harness/until.js';

/*
 * Two controllers, of which the leader goes in every way, under live traffic and with clients that change something all the
 * time: no request fails, and each change that was answered is in force, exactly once.
 */

const SESSION_MS = 1_000;
const ENV = { EBBGATE_ZOOKEEPER_SESSION: '1s' };
/** As many events of people the API shows. */
const MOST_EVENTS = 200;
const ROUNDS = process.env.EBBGATE_LONG === undefined ? 3 : 20;
/** Each round has weights of its own, up to 10,000. */
const WEIGHTS = Math.floor(9_900 / (3 * ROUNDS + 1));

let platform: ControlledPlatform;
let controllers: readonly AnotherController[];
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start({ env: ENV });
  instances = await Promise.all([1, 2, 3, 4].map(() => platform.startInstance()));
  await platform.route();
  // The first one goes: both that stay are alike.
  controllers = [await platform.addController('one', ENV), await platform.addController('two', ENV)];
  await platform.controller.stop();
  await until('one of them leads', async () => (await leader()) !== undefined);
});
afterAll(() => platform[Symbol.asyncDispose]());

async function get<T>(api: string, path: string): Promise<T> {
  const { body } = await request(`${api}${path}`, { headersTimeout: 1_000, bodyTimeout: 1_000 });
  return (await body.json()) as T;
}

/** The controller that says of itself that it leads, and is ready. */
async function leader(among = controllers): Promise<AnotherController | undefined> {
  for (const one of among) {
    const answer = await request(`${one.api}/readyz?role=leader`, { headersTimeout: 1_000 }).catch(
      () => null,
    );
    await answer?.body.dump();
    if (answer?.statusCode === 200) return one;
  }
  return undefined;
}

/** A client that changes the weight of its instance all the time, at whichever controller answers. */
class Client {
  /** Each weight that was answered, and when it was asked for first (milliseconds of the wall clock). */
  readonly answered: { readonly weight: number; readonly at: number }[] = [];
  readonly #one: RegisteredInstance;
  readonly #name: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #last: number;

  constructor(one: RegisteredInstance, name: string, first: number) {
    this.#one = one;
    this.#name = name;
    this.#last = first;
    this.#running = this.#run();
  }

  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#running;
    return this.#last;
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted; turn += 1) {
      const weight = this.#last + 1;
      const [key, at] = [`${this.#name}-${String(weight)}`, Date.now()];
      await until(`${key} is answered`, () => this.#send(weight, key, turn++), { timeoutMs: 30_000 });
      this.#last = weight;
      this.answered.push({ weight, at });
      await timePasses('a person needs a moment', 30);
    }
  }

  /** True once it was answered; a request that has no answer, or is refused for now, is sent again with its key. */
  async #send(weight: number, key: string, turn: number): Promise<boolean> {
    const { api } = controllers[turn % controllers.length]!;
    const path = `/v1/services/shop/instances/${encodeURIComponent(this.#one.id)}`;
    const answer = await request(`${api}${path}`, {
      method: 'PATCH',
      headers: {
        ...{ 'content-type': 'application/json', 'if-match': '*', 'idempotency-key': key },
        'x-ebbgate-actor': this.#name,
      },
      body: JSON.stringify({ weight }),
      headersTimeout: 3_000,
    });
    const text = await answer.body.text();
    if (answer.statusCode === 200) return true;
    expect({ status: answer.statusCode, text }).toMatchObject({ status: 503 });
    return false;
  }
}

const names = ['ann', 'bob', 'cyd', 'dan'];
let firstWeight = 1;

/** Breaks the leader in `rounds`, with traffic and clients; then looks whether everything that was answered is in force once. */
async function withClients(
  rounds: number,
  breaks: (leader: AnotherController) => Promise<void>,
): Promise<void> {
  await using traffic = platform.traffic();
  for (let round = 0; round < rounds; round += 1) {
    const broken = await until('there is a leader', () => leader());
    const clients = instances.map((one, n) => new Client(one, names[n]!, firstWeight));
    firstWeight += WEIGHTS;
    await until('all have changed something', () => clients.every(({ answered }) => answered.length > 2));
    const others = controllers.filter((one) => one !== broken);
    await breaks(broken);
    await until('another one leads', () => leader(others), { timeoutMs: 10_000 });
    const before = clients.map(({ answered }) => answered.length);
    await until('changes go on', () => clients.every(({ answered }, n) => answered.length > before[n]! + 2));
    if (!broken.running()) await broken.start();
    const last = await Promise.all(clients.map((client) => client.stop()));
    await until('the last weights are published', async () => {
      const { peers } = await platform.published();
      return instances.every(({ id }, n) => peers.find((peer) => peer.id === id)?.weight === last[n]);
    });
    const { items } = await get<{ readonly items: readonly ServiceEvent[] }>(
      others[0]!.api,
      '/v1/services/shop/events',
    );
    // The oldest are not shown any more.
    const byPeople = items.filter(({ by }) => names.includes(by));
    const shownSince = byPeople.length < MOST_EVENTS - 10 ? 0 : Date.parse(byPeople[0]!.at);
    const shown = clients.map(({ answered }) => answered.filter(({ at }) => at > shownSince));
    expect(shown.every(({ length }) => length > 2)).toBe(true);
    for (const [n, weights] of shown.entries())
      for (const { weight } of weights) {
        const mine = items.filter(
          ({ by, message }) => by === names[n] && message.split(';')[0] === `weight set to ${String(weight)}`,
        );
        expect({ by: names[n], weight, events: mine.length }).toMatchObject({ events: 1 });
      }
    await until('both answer', async () => (await leader()) !== undefined && broken.running());
  }
  expect(await traffic.stop()).toEqual([]);
}

test('both are known, at both; a standby shows what is registered, and sends changes on', async () => {
  const leading = (await leader())!;
  const standby = controllers.find((one) => one !== leading)!;
  for (const { api } of controllers) {
    const { items } = await get<{ readonly items: readonly ControllerResource[] }>(api, '/v1/controllers');
    expect(items).toMatchObject([
      { id: leading.id, role: 'leader', address: leading.api },
      { id: standby.id, role: 'standby', address: standby.api },
    ]);
  }
  const listed = await until('the standby has read the registry', async () => {
    const answer = await request(`${standby.api}/v1/services/shop/instances`);
    const { items } = (await answer.body.json()) as { readonly items?: readonly unknown[] };
    return items && { items, headers: answer.headers };
  });
  expect(listed.headers).toMatchObject({ 'x-ebbgate-role': 'standby' });
  expect(listed.items).toHaveLength(4);
  const run = await platform.cli('get', 'controllers', '--api', standby.api);
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout).toMatch(new RegExp(`${leading.id} +leader +${leading.api}`));
  const id = instances[0]!.id;
  const isolated = await platform.cli('isolate', '-s', 'shop', id, '--reason', 'try', '--api', standby.api);
  expect(isolated).toMatchObject({ code: 0 });
  expect((await platform.published()).peers.find((peer) => peer.id === id)).toMatchObject({
    state: 'isolated',
  });
  expect(await platform.cli('restore', '-s', 'shop', id, '--api', standby.api)).toMatchObject({ code: 0 });
});

test('killed -9, again and again: the next one leads within its session and a second', async () => {
  await withClients(ROUNDS, async (broken) => {
    const others = controllers.filter((one) => one !== broken);
    await broken.kill();
    const killed = performance.now();
    await until('another one leads', () => leader(others), { timeoutMs: 10_000 });
    const took = performance.now() - killed;
    measured('controllers: leader killed -9 → another one ready', took);
    expect(took).toBeLessThan(SESSION_MS + 4_000);
  });
});

test('ended by SIGTERM, again and again: another one leads at once', async () => {
  await withClients(ROUNDS, async (broken) => {
    const others = controllers.filter((one) => one !== broken);
    const asked = performance.now();
    const stopped = broken.stop();
    await until('another one leads', () => leader(others), { timeoutMs: 10_000 });
    measured('controllers: leader asked to end → another one ready', performance.now() - asked);
    await stopped;
  });
});

test('frozen for three sessions and thawed: it writes nothing, and is a standby', async () => {
  await withClients(ROUNDS, async (broken) => {
    const others = controllers.filter((one) => one !== broken);
    await broken.freeze();
    const frozen = performance.now();
    await until('another one leads', () => leader(others), { timeoutMs: 10_000 });
    measured('controllers: leader frozen → another one ready', performance.now() - frozen);
    await timePasses('longer than its session', 3 * SESSION_MS);
    const epoch = await platform.data.hget('{ebb}:meta', 'epoch');
    broken.thaw();
    await until('it is a standby', async () => {
      const { controller } = await get<{ readonly controller: { readonly state: string } }>(
        broken.api,
        '/readyz',
      );
      return controller.state === 'standby';
    });
    expect(await platform.data.hget('{ebb}:meta', 'epoch')).toBe(epoch);
  });
});
