import { Redis } from 'ioredis';
import { buildHeartbeat, type Heartbeat } from '../../control-plane/src/testkit.js';

/** One gateway that follows the sets and serves nobody. */
interface Simulated {
  readonly id: string;
  seq: number;
  applied: Heartbeat['applied'];
  /** `service|instance` → open requests. */
  inFlight: Readonly<Record<string, number>>;
  /** It follows now; `again`: a hint came meanwhile. */
  follows: 'no' | 'yes' | 'again';
}

/**
 * Many gateways in this process, as far as Redis and the controllers see them: at each hint each of them reads where the sets are and
 * what is new, and reports; besides, each beats every second, spread over it.
 */
export class SimulatedGateways implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #hints: Redis;
  readonly #gateways: readonly Simulated[];
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(redis: Redis, count: number) {
    this.#redis = redis;
    this.#hints = redis.duplicate();
    this.#gateways = Array.from({ length: count }, (_, n) => ({
      ...{ id: `simulated-${String(n + 1)}`, seq: 0, applied: null, inFlight: {} },
      follows: 'no',
    }));
  }

  static async start(port: number, count: number): Promise<SimulatedGateways> {
    const redis = new Redis<'legacy'>({ port, host: '127.0.0.1', replyMapping: 'legacy' });
    const all = new SimulatedGateways(redis, count);
    await all.#hints.subscribe('{ebb}:changed');
    all.#hints.on('message', () => {
      for (const one of all.#gateways) void all.#follow(one);
    });
    for (const [n, one] of all.#gateways.entries()) {
      await all.#follow(one);
      const beat = (): void => void all.#follow(one);
      all.#timers.push(setTimeout(() => all.#timers.push(setInterval(beat, 1_000)), (1_000 * n) / count));
    }
    return all;
  }

  get ids(): readonly string[] {
    return this.#gateways.map(({ id }) => id);
  }

  /** What the first of them counts from now on; it reports at once, the others count nothing. */
  async count(inFlight: Readonly<Record<string, number>>): Promise<void> {
    const [first] = this.#gateways;
    if (first === undefined) return;
    first.inFlight = inFlight;
    await this.#report(first);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#hints.disconnect();
    await this.#redis.quit();
  }

  /** One at a time: hints that come meanwhile are one more look. */
  async #follow(one: Simulated): Promise<void> {
    if (one.follows !== 'no') {
      one.follows = 'again';
      return;
    }
    do {
      one.follows = 'yes';
      await this.#look(one);
    } while (isAgain(one));
    one.follows = 'no';
  }

  async #look(one: Simulated): Promise<void> {
    const [epoch, generation] = await this.#redis.hmget('{ebb}:meta', 'epoch', 'generation');
    const newest = { epoch: Number(epoch), generation: Number(generation) };
    const since = one.applied?.epoch === newest.epoch ? one.applied.generation : 0;
    const changed = await this.#redis.zrangebyscore('{ebb}:index', `(${String(since)}`, '+inf');
    await Promise.all(
      changed.map((name) => this.#redis.hmget(`{ebb}:set:${name}`, 'epoch', 'generation', 'hash', 'payload')),
    );
    one.applied = newest;
    await this.#report(one);
  }

  async #report(one: Simulated): Promise<void> {
    one.seq += 1;
    const { id, seq, applied, inFlight: in_flight } = one;
    const beat = buildHeartbeat({ id, seq, applied, in_flight, boot: `boot-${id}`, contracts: [1, 2] });
    await this.#redis
      .pipeline()
      .set(`{ebb}:gw:${id}`, JSON.stringify(beat), 'PX', 15_000)
      .zadd('{ebb}:gateways', Math.floor(Date.now() / 1_000), id)
      .publish('{ebb}:report', id)
      .exec();
  }
}

function isAgain({ follows }: Simulated): boolean {
  return follows === 'again';
}
