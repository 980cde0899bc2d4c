import { Redis } from 'ioredis';
import type { Heartbeat, ServiceSet } from '../../control-plane/src/testkit.js';
import { reached, readSet } from '../../e2e/harness/publish.js';

/** Sees in Redis what the controllers see: the published set of a service, and whether every gateway has acked it. */
export class Acks implements AsyncDisposable {
  private readonly hints: Redis;
  private wake: () => void = () => undefined;

  private constructor(
    private readonly redis: Redis,
    private readonly gateways: readonly string[],
  ) {
    this.hints = new Redis<'legacy'>({ ...redis.options, replyMapping: 'legacy' });
    this.hints.on('message', () => {
      this.wake();
    });
  }

  static async open(redis: Redis, gateways: readonly string[]): Promise<Acks> {
    const acks = new Acks(redis, gateways);
    await acks.hints.subscribe('{ebb}:report');
    return acks;
  }

  /** Resolves with the moment at which a set of `service` that `fits` was seen to be acked by all gateways. */
  async acked(service: string, fits: (set: ServiceSet) => boolean, timeoutMs = 10_000): Promise<number> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const hint = new Promise<void>((resolve) => (this.wake = resolve));
      if (await this.look(service, fits)) return performance.now();
      if (performance.now() > deadline) throw new Error(`the change of ${service} was not acked in time`);
      // A heartbeat without a hint comes every second.
      const timer = setTimeout(this.wake, 1_000);
      await hint;
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hints.disconnect();
    await Promise.resolve();
  }

  private async look(service: string, fits: (set: ServiceSet) => boolean): Promise<boolean> {
    const answers = await this.redis
      .pipeline()
      .hmget(`{ebb}:set:${service}`, 'epoch', 'generation', 'payload')
      .mget(this.gateways.map((id) => `{ebb}:gw:${id}`))
      .exec();
    const [epoch, generation, payload] = (answers?.[0]?.[1] ?? []) as (string | null)[];
    if (typeof payload !== 'string' || !fits(readSet(payload))) return false;
    const target = { epoch: Number(epoch), generation: Number(generation) };
    const beats = (answers?.[1]?.[1] ?? []) as (string | null)[];
    return beats.every((beat) => beat !== null && reached((JSON.parse(beat) as Heartbeat).applied, target));
  }
}
