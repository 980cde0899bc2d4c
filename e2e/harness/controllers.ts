import { appendFileSync } from 'node:fs';
import { request } from 'undici';
import { expect } from 'vitest';
import { reservePort, startTcpProxy, type TcpProxy } from '../../control-plane/src/testkit.js';
import { auditRecords } from './audit.js';
import { ControlledPlatform, leaderOf, type AnotherController } from './controlled_platform.js';
import { measured } from './measured.js';
import type { RegisteredInstance } from './registered_instance.js';
import { timePasses, until } from './until.js';

/*
 * Two controllers, traffic, and clients that change something all the time, at whichever controller answers: what a scenario
 * breaks is the leader.
 */

/** A ZooKeeper session of the controllers, in milliseconds. */
export const SESSION_MS = 1_000;
const ENV = { EBBGATE_ZOOKEEPER_SESSION: '1s' };
const MOST_WEIGHT = 10_000;
const NAMES = ['ann', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus', 'hal'];

/** One of the two, and the network between it and each of the others. */
export interface Controller extends AnotherController {
  /** To ZooKeeper, to Redis, and of the others to its API. */
  readonly doors: Readonly<Record<'zookeeper' | 'redis' | 'api', TcpProxy>>;
}

/**
 * What a scenario does to the leader; it ends when the leader is broken and others have noticed, or healed it. Resolves to the
 * milliseconds until another one led; null where none had to.
 */
export type Break = (leader: Controller, others: readonly Controller[]) => Promise<number | null>;

/** How often each way of breaking the leader is tried: together some 200 times in the long run. */
export const ROUNDS = process.env.EBBGATE_LONG === undefined ? 5 : 34;
/** Between two changes of one client: the rounds of the long run have a machine to themselves. */
const PAUSE_MS = process.env.EBBGATE_LONG === undefined ? 150 : 30;
/** For a test of so many rounds. */
export const PATIENTLY = { timeout: ROUNDS * 40_000 };

/** A client that changes the weight of its instance all the time. */
class Client {
  /** The key of each change that was answered. */
  readonly answered: string[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #turn = 0;

  constructor(
    readonly one: RegisteredInstance,
    readonly name: string,
    /** The last weight that was sent, and how often all were. */
    readonly sent: { weight: number; count: number },
    readonly controllers: readonly AnotherController[],
  ) {
    this.#running = this.#run();
  }

  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#running;
    return this.sent.weight;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const weight = (this.sent.weight % MOST_WEIGHT) + 1;
      this.sent.count += 1;
      const key = `${this.name}-${String(this.sent.count)}`;
      await until(`${key} is answered`, () => this.#send(weight, key), { timeoutMs: 30_000 });
      this.sent.weight = weight;
      this.answered.push(key);
      await timePasses('a person needs a moment', PAUSE_MS);
    }
  }

  /** True once it was answered; a request that has no answer, or is refused for now, is sent again with its key. */
  async #send(weight: number, key: string): Promise<boolean> {
    const { api } = this.controllers[this.#turn++ % this.controllers.length]!;
    const path = `/v1/services/shop/instances/${encodeURIComponent(this.one.id)}`;
    const answer = await request(`${api}${path}`, {
      method: 'PATCH',
      headers: {
        ...{ 'content-type': 'application/json', 'if-match': '*', 'idempotency-key': key },
        'x-ebbgate-actor': this.name,
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

/** A platform of two controllers that are both alike, with eight instances. */
export class TwoControllers implements AsyncDisposable {
  readonly #sent: { weight: number; count: number }[];

  private constructor(
    readonly platform: ControlledPlatform,
    readonly controllers: readonly Controller[],
    readonly instances: readonly RegisteredInstance[],
  ) {
    this.#sent = instances.map(() => ({ weight: 0, count: 0 }));
  }

  static async start(): Promise<TwoControllers> {
    const platform = await ControlledPlatform.start({ env: ENV });
    const instances = await Promise.all(NAMES.map(() => platform.startInstance()));
    await platform.route();
    // The first one goes: both that stay are alike.
    const controllers = await Promise.all(['one', 'two'].map((id) => added(platform, id)));
    await platform.controller.stop();
    const both = new TwoControllers(platform, controllers, instances);
    await until('one of them leads', async () => (await both.leader()) !== undefined);
    return both;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.platform[Symbol.asyncDispose]();
    for (const { doors } of this.controllers) for (const door of Object.values(doors)) await door.close();
  }

  /** The one that leads, and is ready. */
  leader(among = this.controllers): Promise<Controller | undefined> {
    return leaderOf(among);
  }

  /** Waits until one of `others` leads; how long that took, in milliseconds. */
  async anotherLeads(others: readonly Controller[]): Promise<number> {
    const began = performance.now();
    await until('another one leads', () => this.leader(others), { timeoutMs: 20_000 });
    return performance.now() - began;
  }

  /**
   * Breaks the leader `rounds` times, `how` being what is done to it; each time all clients get on with their changes afterwards, and then everything that was
   * answered is in force, once. Not one request of the traffic fails.
   */
  async whileClientsChange(how: string, rounds: number, breaks: Break): Promise<void> {
    await using traffic = this.platform.traffic();
    for (let round = 0; round < rounds; round += 1) {
      const broken = await until('there is a leader', () => this.leader());
      const others = this.controllers.filter((one) => one !== broken);
      const began = Date.now();
      const clients = this.instances.map(
        (one, n) => new Client(one, NAMES[n]!, this.#sent[n]!, this.controllers),
      );
      await using _ = this.#mended(broken, clients);
      await until('all have changed something', () => clients.every(({ answered }) => answered.length > 0));
      const ms = await breaks(broken, others);
      if (ms !== null) measured(`controllers: leader ${how} → another one ready`, ms);
      const before = clients.map(({ answered }) => answered.length);
      const goOn = (): boolean => clients.every(({ answered }, n) => answered.length > before[n]!);
      await until('changes go on', goOn, { timeoutMs: 30_000 });
      if (!broken.running()) await broken.start();
      const last = await Promise.all(clients.map((client) => client.stop()));
      await until('the last weights are published', async () => {
        const { peers } = await this.platform.published();
        return this.instances.every(({ id }, n) => peers.find((peer) => peer.id === id)?.weight === last[n]);
      });
      await this.#expectOnce(clients, began);
      report({ how, ms, changes: clients.reduce((sum, { answered }) => sum + answered.length, 0) });
      const isReady = async ({ api }: Controller): Promise<boolean> => {
        const answer = await request(`${api}/readyz`, { headersTimeout: 1_000 }).catch(() => null);
        await answer?.body.dump();
        return answer?.statusCode === 200;
      };
      await until('both are ready', async () =>
        (await Promise.all(this.controllers.map(isReady))).every(Boolean),
      );
    }
    expect(await traffic.stop()).toEqual([]);
  }

  /** At the end of a round, however it went: nobody changes anything, and who was broken runs and is reached. */
  #mended(broken: Controller, clients: readonly Client[]): AsyncDisposable {
    return {
      [Symbol.asyncDispose]: async () => {
        for (const door of Object.values(broken.doors)) door.setMode('pass');
        if (broken.running()) broken.thaw();
        else await broken.start();
        await Promise.all(clients.map((client) => client.stop().catch(() => 0)));
      },
    };
  }

  /** What was answered has one record of who did it, and there is no record besides. */
  async #expectOnce(clients: readonly Client[], since: number): Promise<void> {
    const { api } = await until('there is a leader', () => this.leader());
    const records = await auditRecords(api, '', since);
    const keys = records.filter(({ by }) => NAMES.includes(by)).map((one) => one.idempotency_key ?? '');
    expect(keys.toSorted()).toEqual(clients.flatMap(({ answered }) => answered).toSorted());
  }
}

/** For the results page of the long run. */
function report(round: { readonly how: string; readonly ms: number | null; readonly changes: number }): void {
  const file = process.env.EBBGATE_CONTROLLERS_REPORT;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(round)}\n`);
}

async function added(platform: ControlledPlatform, id: string): Promise<Controller> {
  const { zookeeper, redis } = platform.ports;
  const api = await reservePort();
  const doors = {
    zookeeper: await startTcpProxy(zookeeper),
    redis: await startTcpProxy(redis),
    api: await startTcpProxy(api),
  };
  const env = {
    ...ENV,
    EBBGATE_ZOOKEEPER: `127.0.0.1:${String(doors.zookeeper.port)}`,
    EBBGATE_REDIS: `redis://127.0.0.1:${String(doors.redis.port)}`,
    EBBGATE_API_ADVERTISE: `http://127.0.0.1:${String(doors.api.port)}`,
  };
  return Object.assign(await platform.addController(id, env, api), { doors });
}
