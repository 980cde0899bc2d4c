import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { ownMemory } from './harness/memory.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { timePasses, until } from './harness/until.js';

/*
 * Traffic without an end while an instance changes every 100 ms: its registered weight, an operator's weight, a drain
 * taken back, an instance that joins and one that leaves. Nothing may fail, and nothing may grow.
 */

/** Short for every day; `npm run test:long` gives 600. */
const SECONDS = Number(process.env.EBBGATE_SOAK_SECONDS ?? (process.env.EBBGATE_LONG === '1' ? 600 : 12));
const EVERY_MS = 100;
const RATE = 150;
const STEADY = 4;
const MIB = 1_048_576;
/** Memory says something only once every pool and every heap has found its size. */
const LONG_ENOUGH = 300;

let platform: ControlledPlatform;
let steady: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  steady = await Promise.all(Array.from({ length: STEADY }, () => platform.startInstance()));
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

test(
  `${String(SECONDS)} s of traffic, a change every ${String(EVERY_MS)} ms: nothing fails, memory stays flat`,
  async () => {
    await using traffic = platform.traffic({ rate: RATE });
    const churn = new Churn(platform, steady);
    const memory: number[] = [];
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1_000;
    for (let due = 0; elapsed() < SECONDS; due += EVERY_MS) {
      await timePasses('until the next change', Math.max(0, began + due - performance.now()));
      churn.step();
      if (due % 5_000 === 0) memory.push(workersMemory());
    }
    await churn.settle();
    const failed = await traffic.stop();
    const half = mean(memory.slice(memory.length / 2, (memory.length * 3) / 4));
    const end = mean(memory.slice((memory.length * 3) / 4));
    report({
      changes: churn.changes,
      late: churn.late,
      requests: traffic.total(),
      failed: failed.length,
      half,
      end,
      memory,
    });
    expect(churn.refused).toEqual([]);
    expect(failed).toEqual([]);
    expect(traffic.total()).toBeGreaterThan(RATE * SECONDS * 0.8);
    expect(churn.changes).toBeGreaterThan((SECONDS * 1_000) / EVERY_MS / 2);
    if (SECONDS >= LONG_ENOUGH) expect(end / half).toBeLessThan(1.05);
  },
  (SECONDS + 120) * 1_000,
);

/** Changes one thing after the other; a kind whose last change is still on its way is passed over, and counted as late. */
class Churn {
  readonly #kinds: readonly (() => Promise<void>)[];
  readonly #busy = new Map<number, Promise<void>>();
  #turn = 0;
  changes = 0;
  late = 0;
  readonly refused: string[] = [];

  constructor(
    readonly platform: ControlledPlatform,
    readonly steady: readonly RegisteredInstance[],
  ) {
    const [first, second, third] = steady as readonly [
      RegisteredInstance,
      RegisteredInstance,
      RegisteredInstance,
    ];
    this.#kinds = [
      () => first.weigh(50 + (this.#turn % 100)),
      () => this.#weight(second.id, 50 + (this.#turn % 90)),
      () => this.#drainAndBack(third.id),
      () => first.weigh(60 + (this.#turn % 80)),
      () => this.#weight(second.id, 60 + (this.#turn % 70)),
      () => (this.#turn % 12 < 6 ? this.#joinAndLeave() : this.#joinAndBeDrained()),
    ];
  }

  step(): void {
    const kind = this.#turn++ % this.#kinds.length;
    const make = this.#kinds[kind];
    if (make === undefined) return;
    if (this.#busy.has(kind)) {
      this.late += 1;
      return;
    }
    const change = make()
      .then(() => {
        this.changes += 1;
      })
      .catch((error: unknown) => {
        this.refused.push(error instanceof Error ? error.message : String(error));
      })
      .finally(() => this.#busy.delete(kind));
    this.#busy.set(kind, change);
  }

  async settle(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  async #weight(id: string, weight: number): Promise<void> {
    await this.#call('PATCH', `/v1/services/shop/instances/${id}`, { weight });
  }

  async #drainAndBack(id: string): Promise<void> {
    await this.#call('POST', `/v1/services/shop/instances/${id}/drain`, { timeout: '30s' });
    await this.#call('POST', `/v1/services/shop/instances/${id}/undrain`, {});
  }

  /** A whole life: registered, in use, leaving, drained, gone. */
  async #joinAndLeave(): Promise<void> {
    const guest = await this.platform.startInstance();
    await guest.leave();
    await until(
      `${guest.id} is empty`,
      async () => (await this.platform.instance(guest.id)).drain?.drained === true,
      { timeoutMs: 30_000 },
    );
    await guest.withdraw();
  }

  /** The same by an operator, who tidies up behind it. */
  async #joinAndBeDrained(): Promise<void> {
    const guest = await this.platform.startInstance();
    const { result } = await this.platform.ended(await this.platform.drain(guest.id));
    if (result !== 'drained') throw new Error(`the drain of ${guest.id} ended ${String(result)}`);
    await guest.withdraw();
    await until(
      `${guest.id} is seen to be gone`,
      async () => !(await this.platform.instance(guest.id)).registered,
    );
    await this.#call('POST', `/v1/services/shop/instances/${guest.id}/undrain`, {});
  }

  async #call(method: 'PATCH' | 'POST', path: string, body: unknown): Promise<void> {
    for (;;) {
      const answer = await this.platform.call(
        method,
        path,
        body,
        method === 'PATCH' ? { 'if-match': '*' } : {},
      );
      if (answer.status < 300) return;
      // Two changes of one service met; the one that lost is to be made again.
      if (answer.status !== 409 && answer.status !== 412)
        throw new Error(`${method} ${path}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    }
  }
}

/** MiB of all workers of all gateways. */
function workersMemory(): number {
  const pids = platform.gateways.flatMap((gateway) => gateway.process.workers());
  return pids.reduce((sum, pid) => sum + ownMemory(pid), 0) / MIB;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** For the results page of the long run. */
function report(found: object): void {
  const file = process.env.EBBGATE_SOAK_REPORT;
  if (file !== undefined) writeFileSync(file, JSON.stringify({ seconds: SECONDS, ...found }));
}
