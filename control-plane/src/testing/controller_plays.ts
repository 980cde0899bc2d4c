import { expect } from 'vitest';
import { systemClock } from '../clock.js';
import type { IntentRecord } from '../model/intent.js';
import type { Mutation, MutationContext, MutationResource } from '../model/mutation.js';
import type { Timer } from '../model/ports.js';
import type { Problem } from '../model/problem.js';
import type { ServiceSet } from '../model/set.js';
import { CHANNELS, KEYS } from '../redis/keys.js';
import { buildHeartbeat, ORIGIN } from './builders.js';
import { command, servers, start, until, type Changes, type Running } from './controller_rig.js';

/*
 * What tests of the controller's rooms do and look at: mutations, what is in Redis and ZooKeeper, and gateways that are played.
 */

/** Starts a controller, and waits until it leads and everything is published. */
export async function lead(changes: Changes = {}): Promise<Running> {
  const running = await start(changes);
  await leads(running);
  await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
  return running;
}

/** Waits until a controller leads, and can. */
export async function leads({ controller }: Running): Promise<void> {
  const leading = { ready: true, controller: { state: 'leading' } };
  await until(() => expect(controller.readiness()).toMatchObject(leading));
}

/** Where Redis is. */
export async function meta(): Promise<{
  readonly epoch: number;
  readonly generation: number;
  readonly sealed: string;
}> {
  const [epoch, generation, sealed] = (await command(
    'HMGET',
    KEYS.meta,
    'epoch',
    'generation',
    'sealed',
  )) as string[];
  return { epoch: Number(epoch), generation: Number(generation), sealed: sealed ?? '' };
}

/** The peers of a service as they are in Redis, by id. */
export async function peers(service = 'shop'): Promise<Record<string, string>> {
  const payload = (await command('HGET', KEYS.set(service), 'payload')) as string | null;
  const set = JSON.parse(payload ?? '{"peers":[]}') as ServiceSet;
  return Object.fromEntries(
    ((set.peers as ServiceSet['peers'] | undefined) ?? []).map((one) => [
      one.id,
      `${one.state} ${String(one.weight)}`,
    ]),
  );
}

/** Everything in Redis that gateways follow, as one text. */
export async function projection(): Promise<string> {
  const keys = ((await command('KEYS', '{ebb}:*')) as string[]).filter(
    (key) => !/:(gateways|gw|stats|copy)/.test(key),
  );
  const values = await Promise.all(
    keys.sort().map(async (key) => {
      if (key === KEYS.index) return command('ZRANGE', key, '0', '-1', 'WITHSCORES');
      const flat = (await command('HGETALL', key)) as string[];
      return flat.flatMap((name, at) => (at % 2 === 0 ? [`${name}=${flat[at + 1] ?? ''}`] : [])).sort();
    }),
  );
  return JSON.stringify([keys, values]);
}

/** A gateway that follows the contract: never goes back, counts after it has applied, beats often. */
export class Gateway implements AsyncDisposable {
  readonly id: string;
  boot = 'boot-1';
  contracts: readonly number[] = [1];
  /** Instance → open requests. */
  readonly open = new Map<string, number>();
  uncounted = 0;
  rejects: { readonly service: string; readonly generation: number; readonly code: string }[] = [];
  /** Whether it follows what is published; it beats all the same. */
  follows = true;
  applied: { readonly epoch: number; readonly generation: number } | null = null;
  readonly sets = new Map<string, ServiceSet>();
  #seq = 0;
  #timer: Timer | undefined;
  /** The beat that is under way. */
  #beating: Promise<void> | null = null;

  constructor(id: string) {
    this.id = id;
    servers.opened.push(this);
    this.resume();
  }

  pause(): void {
    this.#timer?.stop();
    this.#timer = undefined;
  }
  resume(): void {
    this.#timer = systemClock.every(50, () => {
      // Never two at once: a gateway that is late would go on beating after it was paused.
      this.#beating ??= this.#beat()
        .catch(() => undefined)
        .finally(() => {
          this.#beating = null;
        });
    });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.pause();
    await this.#beating;
  }

  async #follow(): Promise<void> {
    const now = await meta();
    const isNewer =
      this.applied === null ||
      now.epoch > this.applied.epoch ||
      (now.epoch === this.applied.epoch && now.generation > this.applied.generation);
    if (!this.follows || !Number.isFinite(now.epoch) || !isNewer) return;
    for (const name of (await command('ZRANGE', KEYS.index, '0', '-1')) as string[]) {
      const payload = (await command('HGET', KEYS.set(name), 'payload')) as string | null;
      if (payload === null) return;
      this.sets.set(name, JSON.parse(payload) as ServiceSet);
    }
    this.applied = { epoch: now.epoch, generation: now.generation };
  }

  async #beat(): Promise<void> {
    await this.#follow();
    if (this.#timer === undefined) return;
    const beat = buildHeartbeat({
      id: this.id,
      boot: this.boot,
      contracts: this.contracts,
      seq: ++this.#seq,
      applied: this.applied,
      rejected: this.rejects,
      in_flight: Object.fromEntries([...this.open].map(([id, count]) => [`shop|${id}`, count])),
      uncounted: this.uncounted,
    });
    await command('SET', KEYS.heartbeat(this.id), JSON.stringify(beat), 'PX', '15000');
    await command('ZADD', KEYS.gateways, String(Math.floor(Date.now() / 1000)), this.id);
    await command('PUBLISH', CHANNELS.report, this.id);
  }
}

/** Who asks, and how, where a test does not say. */
export const CONTEXT: MutationContext = {
  origin: ORIGIN,
  by: 'ann',
  services: '*',
  reason: 'test',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};
/** Selects instances of `shop`. */
export const only = (...ids: readonly string[]) => ({ service: 'shop', ids });
/** Drains one instance of `shop`. */
export const drainOf = (id: string, more: Partial<Extract<Mutation, { kind: 'drain' }>> = {}): Mutation => ({
  kind: 'drain',
  selector: only(id),
  timeout_ms: null,
  on_timeout: 'wait',
  ...more,
});

/** The outcome of a mutation that must be taken. */
export async function done(
  { controller }: Running,
  mutation: Mutation,
  context: Partial<MutationContext> = {},
): Promise<MutationResource> {
  const answer = await controller.mutate(mutation, { ...CONTEXT, ...context });
  if (!answer.ok) throw new Error(`refused: ${answer.error.code}: ${answer.error.detail}`);
  return answer.value;
}
/** Why a mutation is refused. */
export async function refused(
  { controller }: Running,
  mutation: Mutation,
  context: Partial<MutationContext> = {},
): Promise<Problem> {
  const answer = await controller.mutate(mutation, { ...CONTEXT, ...context });
  if (answer.ok) throw new Error('it was not refused');
  return answer.error;
}
/** The result of an operation, as the API shows it. */
export const resultOf = ({ controller }: Running, id: string): unknown => controller.operation(id)?.result;
/** The result as ZooKeeper has it. */
export async function recorded(operation: string, service = 'shop'): Promise<unknown> {
  const node = await servers.writer.getData(`${servers.root}/intents/${service}`);
  if (!node.ok) throw new Error(node.error.message);
  const { ops } = JSON.parse(node.value.data.toString()) as IntentRecord;
  return ops.find((one) => one.id === operation)?.result;
}
/** Waits until exactly these gateways are in the roster. */
export const enrolled = (running: Running, ...ids: readonly string[]): Promise<unknown> =>
  until(() =>
    expect(
      running.controller
        .gateways()
        .filter((one) => one.in_roster)
        .map((one) => one.id),
    ).toEqual(ids),
  );

/** `real` with some of its methods in other hands. */
export function wrap<T extends object>(real: T, over: Partial<T>): T {
  return new Proxy(real, {
    get: (target, name) => {
      const value: unknown = Reflect.get(over, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}
