import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import type { StoredIntent } from '../model/intent.js';
import type { Clock, ControlPlane, IntentStore, Lifecycle, Office, Publisher } from '../model/ports.js';
import type { Mutation, MutationContext, MutationResource } from '../model/mutation.js';
import type { ServiceSet } from '../model/set.js';
import { RedisLink } from '../redis/client.js';
import { createFeedback } from '../redis/feedback.js';
import { CHANNELS, KEYS } from '../redis/keys.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts, type PublishingScripts } from '../redis/scripts.js';
import { createHooks } from '../hooks/hooks.js';
import { createPrometheus } from '../hooks/prometheus.js';
import { createTrafficReader } from '../redis/traffic.js';
import { buildHeartbeat } from '../testing/builders.js';
import { createRecordingLog } from '../testing/log.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { connect, type ZooKeeperConnection } from '../zookeeper/connection.js';
import { readZooKeeperTime } from '../zookeeper/clock.js';
import { createConsumers } from '../zookeeper/consumers.js';
import { createPath } from '../zookeeper/create_path.js';
import { createOffice } from '../zookeeper/epoch.js';
import { createFreezeStore } from '../zookeeper/freezes.js';
import { createHistoryStore } from '../zookeeper/histories.js';
import { createIntentStore } from '../zookeeper/intents.js';
import { ZooKeeperLink } from '../zookeeper/link.js';
import { registryRoots } from '../registry/formats.js';
import { createRegistrySource } from '../zookeeper/registry.js';
import { createReleaseStore } from '../zookeeper/releases.js';
import { createRosterStore } from '../zookeeper/roster.js';
import { createZooKeeperProbe } from '../zookeeper/write_probe.js';
import { Controller } from './controller.js';

/*
 * The controller with its real stores on a real ZooKeeper and a real Redis. Each controller reaches both through doors of
 * its own, so that either can be taken away from one of them alone. Gateways are played by `Gateway`, which follows
 * docs/contract/wire.md.
 */

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-controller-'));
const SETTLE_MS = 2_500;
const log = createRecordingLog();
let ports: { readonly redis: number; readonly zookeeper: number };
let redis: LocalProcess;
let zookeeper: LocalProcess;
let scripts: PublishingScripts;
/** A person with redis-cli and zkCli. */
let cli: RedisLink;
let writer: ZooKeeperConnection;
let roots = 0;
let root = '';
let services = '';
let opened: AsyncDisposable[] = [];

beforeAll(async () => {
  ports = { redis: await reservePort(), zookeeper: await reservePort() };
  scripts = await loadScripts(fileURLToPath(new URL('../../../lua/redis', import.meta.url)));
  [redis, zookeeper] = await Promise.all([
    launchRedis({ dir: join(dir, 'redis'), port: ports.redis }),
    launchZooKeeper({ dir: join(dir, 'zookeeper'), port: ports.zookeeper }),
  ]);
  cli = new RedisLink({ address: addressOf(ports.redis), name: 'cli', log, clock, commandTimeoutMs: 10_000 });
  await cli.start();
});

afterAll(async () => {
  await cli.close();
  await Promise.all([redis.stop(), zookeeper.stop()]);
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  roots += 1;
  [root, services] = [`/ebbgate-${String(roots)}`, `/services-${String(roots)}`];
  await until(() => expect(cli.state().state).toBe('connected'));
  await command('FLUSHALL');
  writer = await session(30_000);
});

afterEach(async () => {
  zookeeper.kill('SIGCONT');
  for (const one of opened.toReversed()) await one[Symbol.asyncDispose]();
  opened = [];
});

const until = (condition: () => unknown, timeout = 20_000): Promise<unknown> =>
  vi.waitFor(condition, { timeout, interval: 10 });

/** Must hold for all of `ms`: for what must not happen there is no other condition than time. */
async function throughout(ms: number, condition: () => void): Promise<void> {
  const end = performance.now() + ms;
  await until(() => {
    condition.call(undefined);
    if (performance.now() < end) throw new Error('not over yet');
  }).catch((error: unknown) => {
    condition();
    throw error;
  });
}

function addressOf(port: number) {
  return { host: '127.0.0.1', port, username: null, password: null, database: 0 };
}

async function command(...words: readonly string[]): Promise<unknown> {
  const [name = '', ...rest] = words;
  const answer = await cli.run(name, ...rest);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

/** A ZooKeeper session of its own, over the server's own port. */
async function session(timeoutMs: number): Promise<ZooKeeperConnection> {
  const server = { host: '127.0.0.1', port: ports.zookeeper };
  const made = await connect({ server, sessionTimeoutMs: timeoutMs, connectTimeoutMs: 10_000, clock });
  if (!made.ok) throw new Error(made.error);
  opened.push({ [Symbol.asyncDispose]: () => made.value.close() });
  return made.value;
}

/** Registers `id` of `shop` by `connection`'s session. */
async function register(
  id: string,
  connection = writer,
  service = 'shop',
  more: object = {},
): Promise<string> {
  const path = `${services}/${service}/providers/${id}`;
  await createPath(connection, `${services}/${service}/providers`);
  const data = JSON.stringify({
    id,
    host: '10.0.0.1',
    port: 8_000 + id.charCodeAt(0),
    version: 'v1',
    ...more,
  });
  const made = await connection.create(path, Buffer.from(data), { ephemeral: true });
  if (!made.ok) throw new Error(made.error.message);
  return path;
}

interface Running {
  readonly controller: ControlPlane;
  readonly link: ZooKeeperLink;
  readonly doors: { readonly redis: TcpProxy; readonly zookeeper: TcpProxy };
  close(): Promise<void>;
}

interface Changes {
  /** Stands in for the publisher or the intent store, in front of the real one. */
  readonly publisher?: (real: Publisher) => Publisher;
  readonly intents?: (real: IntentStore) => IntentStore;
  readonly office?: (real: Office) => Office;
  readonly clock?: Clock;
  /** Its door to Redis is shut when it starts. */
  readonly withoutRedis?: boolean;
  readonly suspectMs?: number;
}

async function start(changes: Changes = {}): Promise<Running> {
  const doors = {
    redis: await startTcpProxy(ports.redis),
    zookeeper: await startTcpProxy(ports.zookeeper),
  };
  if (changes.withoutRedis === true) doors.redis.setMode('cut');
  const link = new ZooKeeperLink({
    connect: `127.0.0.1:${String(doors.zookeeper.port)}`,
    sessionTimeoutMs: 3_000,
    log,
    clock,
    random: Math.random,
  });
  const url = `redis://127.0.0.1:${String(doors.redis.port)}`;
  const publisher = createPublisher({ url, log, clock, scripts });
  const office = createOffice(link, { root, owner: `controller-${String(doors.redis.port)}` });
  const intents = createIntentStore(link, { root });
  let ids = 0;
  const controller = new Controller({
    registry: createRegistrySource(link, {
      roots: registryRoots([{ path: services, format: 'json' }], ['10.0.0.0/8']),
    }),
    office: changes.office?.(office) ?? office,
    intents: changes.intents?.(intents) ?? intents,
    histories: createHistoryStore(link, { root }),
    roster: createRosterStore(link, { root }),
    freezes: createFreezeStore(link, { root }),
    releases: createReleaseStore(link, { root }),
    traffic: createTrafficReader({ url, log, clock }),
    hooks: createHooks({ prefixes: [], commands: '', path: '' }),
    prometheus: createPrometheus(''),
    consumers: createConsumers(link, { root: services, node: { id: 'c', host: 'here' } }),
    publisher: changes.publisher?.(publisher) ?? publisher,
    feedback: createFeedback({ url, log, clock, pollMs: 200 }),
    zookeeper: () => link.state(),
    probeZookeeper: createZooKeeperProbe(link, { root }),
    storeClocks: { zookeeper: () => readZooKeeperTime(link, root), redis: () => publisher.time() },
    clock: changes.clock ?? clock,
    log,
    newId: () => `op-${String(doors.redis.port)}-${String(++ids)}`,
    newReleaseId: () => `rel-${String(doors.redis.port)}-${String(++ids)}`,
    settings: {
      settleMs: SETTLE_MS,
      suspectMs: changes.suspectMs ?? 60_000,
      gatewaySilentMs: 1_500,
      drainTimeoutMs: 600_000,
      clockBoundMs: 30_000,
    },
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      for (const part of [controller, link] as readonly Lifecycle[]) await part.close();
      await Promise.all([doors.redis.close(), doors.zookeeper.close()]);
    })());
  opened.push({ [Symbol.asyncDispose]: close });
  await controller.start();
  await link.start();
  return { controller: controller.plane, link, doors, close };
}

/** Started, and in office with everything published. */
async function lead(changes: Changes = {}): Promise<Running> {
  const running = await start(changes);
  await until(() => expect(running.controller.readiness()).toMatchObject({ ready: true }));
  await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
  return running;
}

async function meta(): Promise<{
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

/** The peers of a service as they stand in Redis, by id. */
async function peers(service = 'shop'): Promise<Record<string, string>> {
  const payload = (await command('HGET', KEYS.set(service), 'payload')) as string | null;
  const set = JSON.parse(payload ?? '{"peers":[]}') as ServiceSet;
  return Object.fromEntries(
    ((set.peers as ServiceSet['peers'] | undefined) ?? []).map((one) => [
      one.id,
      `${one.state} ${String(one.weight)}`,
    ]),
  );
}

/** Everything in Redis that a controller writes, as one text. */
async function projection(): Promise<string> {
  const keys = ((await command('KEYS', '{ebb}:*')) as string[]).filter(
    (key) => !/:(gateways|gw|stats)/.test(key),
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
class Gateway implements AsyncDisposable {
  readonly id: string;
  boot = 'boot-1';
  /** Instance → open requests. */
  readonly open = new Map<string, number>();
  uncounted = 0;
  rejects: { readonly service: string; readonly generation: number; readonly code: string }[] = [];
  /** Whether it follows what is published; it beats all the same. */
  follows = true;
  applied: { readonly epoch: number; readonly generation: number } | null = null;
  readonly sets = new Map<string, ServiceSet>();
  #seq = 0;
  #timer: NodeJS.Timeout | undefined;
  #beating = Promise.resolve();

  constructor(id: string) {
    this.id = id;
    opened.push(this);
    this.resume();
  }

  pause(): void {
    clearInterval(this.#timer);
  }
  resume(): void {
    this.#timer = setInterval(() => {
      this.#beating = this.#beating.then(() => this.#beat().catch(() => undefined));
    }, 50);
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
    const beat = buildHeartbeat({
      id: this.id,
      boot: this.boot,
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

const CONTEXT: MutationContext = {
  by: 'ann',
  reason: 'test',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};
const only = (...ids: readonly string[]) => ({ service: 'shop', ids });
const drainOf = (id: string, more: Partial<Extract<Mutation, { kind: 'drain' }>> = {}): Mutation => ({
  kind: 'drain',
  selector: only(id),
  timeout_ms: null,
  on_timeout: 'wait',
  ...more,
});

async function done(
  { controller }: Running,
  mutation: Mutation,
  context: Partial<MutationContext> = {},
): Promise<MutationResource> {
  const answer = await controller.mutate(mutation, { ...CONTEXT, ...context });
  if (!answer.ok) throw new Error(`refused: ${answer.error.code}: ${answer.error.detail}`);
  return answer.value;
}
async function refused({ controller }: Running, mutation: Mutation, context: Partial<MutationContext> = {}) {
  const answer = await controller.mutate(mutation, { ...CONTEXT, ...context });
  if (answer.ok) throw new Error('it was not refused');
  return answer.error;
}
const resultOf = ({ controller }: Running, id: string) => controller.operation(id)?.result;
/** The result as ZooKeeper has it. */
async function recorded(operation: string, service = 'shop'): Promise<unknown> {
  const node = await writer.getData(`${root}/intents/${service}`);
  if (!node.ok) throw new Error(node.error.message);
  const { ops } = JSON.parse(node.value.data.toString()) as StoredIntent['record'];
  return ops.find((one) => one.id === operation)?.result;
}
const enrolled = (running: Running, ...ids: readonly string[]): Promise<unknown> =>
  until(() =>
    expect(
      running.controller
        .gateways()
        .filter((one) => one.in_roster)
        .map((one) => one.id),
    ).toEqual(ids),
  );

describe('a drain', () => {
  test('is proven by every gateway’s ack and zero, and not before', async () => {
    for (const id of ['a', 'b']) await register(id);
    const [one, two] = [new Gateway('g-1'), new Gateway('g-2')];
    one.open.set('a', 2);
    const running = await lead();
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    await enrolled(running, 'g-1', 'g-2');
    await until(() => expect(one.applied).not.toBeNull());
    two.follows = false;
    const { operation, published } = await done(running, drainOf('a'));
    expect(published).toBe(true);
    expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
    const id = operation?.id ?? '';
    const waitsFor = (what: RegExp): Promise<unknown> =>
      until(() => {
        expect(running.controller.operation(id)).toMatchObject({ state: 'running', result: null });
        expect(running.controller.operation(id)?.waiting_for.join('; ')).toMatch(what);
      });
    await waitsFor(/g-1 still has 2 .*g-2 .*has not acked/);
    two.follows = true;
    await waitsFor(/^gateway g-1 still has 2 open requests$/);
    two.uncounted = 1;
    await waitsFor(/g-1 still has 2 .*g-2 has 1 open requests that it could not count/);
    one.open.clear();
    await waitsFor(/^gateway g-2 has 1 open requests that it could not count/);
    two.pause();
    await waitsFor(/^gateway g-2 has been silent/);
    two.uncounted = 0;
    two.rejects = [{ service: 'shop', generation: 1, code: 'bad_document' }];
    two.resume();
    await waitsFor(/^gateway g-2 rejected/);
    two.rejects = [];
    await until(() => expect(resultOf(running, id)).toBe('drained'));
    await until(async () => expect(await recorded(id)).toBe('drained'));
  });

  test('goes on through a restart of the controller, and its deadline waits until gateways could be heard', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    gateway.open.set('a', 1);
    const first = await lead();
    await enrolled(first, 'g-1');
    const { operation } = await done(first, drainOf('a', { timeout_ms: 1_000, on_timeout: 'undrain' }));
    const id = operation?.id ?? '';
    await first.close();
    gateway.open.clear();
    const deadline = Date.parse(operation?.deadline ?? '');
    await until(() => expect(Date.now()).toBeGreaterThan(deadline));
    const second = await lead();
    await until(async () => expect(await recorded(id)).toBe('drained'));
    expect(second.controller.operation(id)).toMatchObject({ state: 'done', result: 'drained' });
    expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
  });

  test('a repeated Idempotency-Key acts once, also by another controller', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const key = { idempotency_key: 'k-1' };
    const { operation } = await done(first, drainOf('a'), key);
    expect((await done(first, drainOf('a'), key)).operation?.id).toBe(operation?.id);
    expect(await refused(first, drainOf('b'), key)).toMatchObject({ code: 'idempotency_conflict' });
    await first.close();
    const second = await lead();
    expect(await done(second, drainOf('a'), key)).toMatchObject({
      published: true,
      operation: { id: operation?.id },
    });
  });

  test('what 60 changes of people were is told by the next controller too, whatever instances do', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    for (let weight = 1; weight <= 60; weight += 1)
      await done(first, { kind: 'set_weights', service: 'shop', weights: { a: weight } });
    const told = (running: Running): readonly string[] =>
      (running.controller.events('shop') ?? [])
        .filter(({ event }) => event === 'weight_changed')
        .map(({ message }) => /^weight set to \d+/.exec(message)?.[0] ?? '');
    const all = Array.from({ length: 60 }, (_, i) => `weight set to ${String(i + 1)}`);
    await until(() => expect(told(first)).toEqual(all));
    await first.close();
    const second = await lead();
    await until(() => expect(told(second)).toEqual(all));
  });

  test('a wish that expires is taken back and published', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await done(running, { kind: 'isolate', selector: only('a') }, { expires_ms: 700 });
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
    await until(async () => expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' }));
    await until(() => expect(running.controller.intents()).toEqual([]));
    await until(() =>
      expect(running.controller.events('shop')?.map((one) => one.event)).toContain('expired'),
    );
  });
});

describe('Redis', () => {
  test('flushed: noticed without any other change, everything stands again under a new epoch, sealed', async () => {
    await register('a');
    await lead();
    const before = await meta();
    await command('FLUSHALL');
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    expect((await meta()).epoch).toBeGreaterThan(before.epoch);
    expect(await peers()).toEqual({ a: 'up 100' });
  });

  test('a set that is lost alone is put back, with an epoch for all', async () => {
    await register('a');
    const gateway = new Gateway('g-1');
    await lead();
    const before = await meta();
    await until(() =>
      expect(gateway.applied).toEqual({ epoch: before.epoch, generation: before.generation }),
    );
    gateway.rejects = [{ service: 'shop', generation: before.generation, code: 'hash_mismatch' }];
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(before.epoch));
    // It goes on complaining, whatever is written: that must not become a storm of epochs.
    gateway.rejects = [{ service: 'shop', generation: 1_000_000, code: 'hash_mismatch' }];
    const { epoch } = await meta();
    await throughout(1_500, () => undefined);
    expect((await meta()).epoch).toBe(epoch);
  });

  test('away while a wish comes: accepted, not published, caught up after; nothing is proven meanwhile', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-1');
    running.doors.redis.setMode('cut');
    const answer = await done(running, drainOf('a'));
    expect(answer).toMatchObject({ published: false, operation: { state: 'running' } });
    expect(await done(running, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    // A second request finds nothing left to change, and that does not mean that it is out.
    expect(await done(running, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    running.doors.redis.setMode('pass');
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' }));
    await until(() => expect(gateway.applied?.epoch).toBe(running.controller.readiness().controller.epoch));
  });

  test('away when the controller starts: wishes are taken, and nothing that stands is published over before it is read', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b']) await register(id);
    const path = await register('c', provider);
    const first = await lead();
    await first.close();
    await provider.remove(path, -1);
    const second = await start({ withoutRedis: true });
    await until(() => expect(second.controller.readiness().controller.epoch).not.toBeNull());
    await until(() => expect(second.controller.hasView()).toBe(true));
    expect(await done(second, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100', c: 'up 100' });
    second.doors.redis.setMode('pass');
    await until(() => expect(second.controller.readiness()).toMatchObject({ ready: true }));
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100', c: 'up 100' }));
  });

  test('restarted with old data: a new epoch, everything stands again', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await command('SAVE');
    await done(running, { kind: 'isolate', selector: only('a') });
    const before = await meta();
    const away = redis.pid;
    redis.kill('SIGKILL');
    await redis.exited;
    redis = await launchRedis({ dir: join(dir, 'redis'), port: ports.redis });
    expect(redis.pid).not.toBe(away);
    await until(() => expect(cli.state().state).toBe('connected'));
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(before.epoch));
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' }));
  });
});

describe('an answer that is lost', () => {
  test('of a publish: what may stand now is not what stood before, and proves nothing', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    let lost = 0;
    const running = await lead({
      publisher: (real) =>
        wrap(real, {
          publish: async (request) => {
            const answer = await real.publish(request);
            if (lost === 0) return answer;
            return { kind: 'unavailable', reason: 'the answer is lost' };
          },
        }),
    });
    await enrolled(running, 'g-1');
    const first = await done(running, drainOf('a'));
    await until(() => expect(resultOf(running, first.operation?.id ?? '')).toBe('drained'));
    lost = 1;
    expect(await done(running, { kind: 'undrain', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    const second = await done(running, drainOf('a'));
    // The wanted set is, to the byte, the one whose publication was heard of last; what stands may be another.
    expect(second.published).toBe(false);
    expect(second.operation?.state).toBe('running');
    lost = 0;
    await until(async () => expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' }));
    await until(() => expect(resultOf(running, second.operation?.id ?? '')).toBe('drained'));
    expect(gateway.sets.get('shop')?.peers[0]).toMatchObject({ id: 'a', weight: 0 });
  });

  test('of the seal: it is sealed later, and the loop lives on', async () => {
    await register('a');
    let seals = 0;
    const running = await lead({
      publisher: (real) =>
        wrap(real, {
          seal: (epoch) =>
            ++seals === 1
              ? Promise.resolve({ kind: 'unavailable', reason: 'the answer is lost' })
              : real.seal(epoch),
        }),
    });
    expect(seals).toBeGreaterThan(1);
    await register('b');
    await until(async () => expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' }));
    expect(running.controller.readiness().ready).toBe(true);
  });
});

/** `real` with some of its methods in other hands. */
function wrap<T extends object>(real: T, over: Partial<T>): T {
  return new Proxy(real, {
    get: (target, name) => {
      const value: unknown = Reflect.get(over, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

describe('two controllers', () => {
  test('the first is fenced by itself: it says so, takes no wish, and changes not one byte', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const second = await start();
    const epoch = first.controller.readiness().controller.epoch ?? 0;
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(epoch));
    await until(() => expect(second.controller.readiness()).toMatchObject({ ready: true }));
    await until(() =>
      expect(first.controller.readiness()).toMatchObject({ ready: false, controller: { state: 'fenced' } }),
    );
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    const before = await projection();
    expect(await refused(first, { kind: 'isolate', selector: only('a') })).toMatchObject({
      code: 'not_leader',
    });
    // Whatever shakes its view of Redis, it does not come back into office.
    first.doors.redis.setMode('cut');
    first.doors.redis.setMode('pass');
    await until(() => expect(first.controller.readiness().redis.state).toBe('ok'));
    await throughout(1_500, () => expect(first.controller.readiness().controller.state).toBe('fenced'));
    expect(await projection()).toBe(before);
    await done(second, { kind: 'isolate', selector: only('a') });
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
  });

  test('one that was cut off while another took office does not take it back', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    first.doors.redis.setMode('cut');
    first.doors.zookeeper.setMode('cut');
    const second = await lead();
    await done(second, drainOf('a'));
    const before = await projection();
    first.doors.redis.setMode('pass');
    first.doors.zookeeper.setMode('pass');
    await until(() => expect(first.controller.readiness().controller.state).toBe('fenced'));
    await until(() => expect(first.controller.readiness().redis.state).toBe('ok'));
    expect(await projection()).toBe(before);
    expect(second.controller.readiness()).toMatchObject({ ready: true });
  });

  test('who takes over publishes nothing before it knows the last wishes', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    await done(first, { kind: 'set_weights', service: 'shop', weights: { b: 7 } });
    // The first's last wish comes after the second has read all, and just before it takes office; the news is late.
    let newest: (() => void) | undefined;
    let tell: ((first: unknown) => void) | undefined;
    const read = new Promise((resolve) => (tell = resolve));
    let wished: Promise<unknown> | undefined;
    const second = await start({
      intents: (real) =>
        wrap(real, {
          onChange: (listener) => {
            real.onChange((intents) => {
              newest = () => listener(intents);
              if (wished === undefined) newest();
              tell?.(intents);
            });
          },
        }),
      office: (real) => ({
        present: () => real.present(),
        isPresent: (term) => real.isPresent(term),
        take: async (floor) => {
          await read;
          await (wished ??= done(first, { kind: 'isolate', selector: only('a') }));
          return real.take(floor);
        },
      }),
    });
    await until(async () => expect(await meta()).toMatchObject({ sealed: '0' }));
    await throughout(1_000, () => undefined);
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 7' });
    expect(await meta()).toMatchObject({ sealed: '0' });
    newest?.();
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    expect(second.controller.readiness().ready).toBe(true);
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 7' });
  });
});

test('a controller that stood still itself takes nobody out by the clock alone', async () => {
  const provider = await session(30_000);
  for (const id of ['a', 'b', 'c', 'd']) await register(id);
  const path = await register('e', provider);
  let stoodStill = 0;
  const running = await lead({
    clock: { ...clock, monotonic: () => performance.now() + stoodStill },
  });
  await throughout(SETTLE_MS, () => undefined); // the start's own settling
  await provider.remove(path, -1);
  await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(false));
  stoodStill = 60_000;
  await throughout(1_000, () => undefined);
  expect(await peers()).toMatchObject({ e: 'up 100' });
  await register('e', provider);
  await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(true));
  expect(running.controller.events('shop')?.map((one) => one.event)).not.toContain('lost');
});

test('from the moment of a complete view on, everything that is registered is known', async () => {
  await register('a');
  // Redis answers late, so that the first pass is under way for a while after everything was read.
  const late = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
  const { controller } = await start({
    publisher: (real) => wrap(real, { meta: () => late().then(() => real.meta()) }),
  });
  while (!controller.hasView()) await new Promise((resolve) => setImmediate(resolve));
  expect(controller.instance('shop', 'a')).toMatchObject({ registered: true });
  expect(controller.services().map(({ service }) => service)).toEqual(['shop']);
});

describe('changes in parallel', () => {
  test('60 of one service, and 20 of several, queue: each takes effect once', async () => {
    for (const id of ['a', 'b']) await register(id);
    await register('c', writer, 'shop', { version: 'v2' });
    await register('d', writer, 'other', { version: 'v2' });
    const running = await lead();
    const weigh = (weight: number): Promise<MutationResource> =>
      done(running, { kind: 'set_weights', service: 'shop', weights: { b: weight } });
    const host: Mutation = { kind: 'isolate', selector: { host: '10.0.0.1', version: 'v2' } };
    const back: Mutation = { ...host, kind: 'restore' };
    const outcomes = await Promise.all([
      ...Array.from({ length: 60 }, (_, n) => weigh(n + 1)),
      ...Array.from({ length: 10 }, () => [
        done(running, host, { force: true, reason: 'x' }),
        done(running, back),
      ]).flat(),
    ]);
    expect(outcomes).toHaveLength(80);
    const node = await writer.getData(`${root}/intents/shop`);
    const { rev } = JSON.parse(node.ok ? node.value.data.toString() : '{}') as StoredIntent['record'];
    const weighed = outcomes
      .slice(0, 60)
      .flatMap(({ changes }) => changes.filter(({ field }) => field === 'weight'));
    // Each replaced what the one before it had set, so that every weight was in force once.
    expect(new Set(weighed.map(({ from }) => from)).size).toBe(60);
    expect(rev).toBeLessThanOrEqual(80);
    expect(rev).toBeGreaterThanOrEqual(60);
  });

  test('of those that insist on one state of the service, one succeeds', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        running.controller.mutate(
          { kind: 'set_weights', service: 'shop', weights: { b: n + 1 } },
          { ...CONTEXT, if_match: '0' },
        ),
      ),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    for (const one of answers) if (!one.ok) expect(one.error.code).toBe('precondition_failed');
  });
});

describe('ZooKeeper', () => {
  test.each(['cut', 'swallow'] as const)(
    '%s: no wish is taken, in bounded time; a published drain still confirms',
    async (mode) => {
      for (const id of ['a', 'b']) await register(id);
      const gateway = new Gateway('g-1');
      gateway.open.set('a', 1);
      const running = await lead();
      await enrolled(running, 'g-1');
      const { operation } = await done(running, drainOf('a'));
      const id = operation?.id ?? '';
      running.doors.zookeeper.setMode(mode);
      const asked = performance.now();
      expect(await refused(running, { kind: 'isolate', selector: only('b') }, { force: true })).toMatchObject(
        {
          code: 'store_unavailable',
        },
      );
      expect(performance.now() - asked).toBeLessThan(8_000);
      expect(resultOf(running, id)).toBeNull();
      gateway.open.clear();
      await until(() =>
        expect(running.controller.operation(id)).toMatchObject({ state: 'done', result: 'drained' }),
      );
      expect(running.controller.operation(id)?.ended_at).toBeNull();
      expect(await recorded(id)).toBeUndefined();
      running.doors.zookeeper.setMode('pass');
      await until(async () => expect(await recorded(id)).toBe('drained'));
      expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
    },
  );

  test('frozen past every provider’s session and thawed: no instance is lost', async () => {
    const provider = await session(1_000);
    for (const id of ['a', 'b', 'c']) await register(id, provider);
    await lead({ suspectMs: 60_000 });
    const before = await projection();
    zookeeper.kill('SIGSTOP');
    await throughout(2_500, () => undefined);
    zookeeper.kill('SIGCONT');
    await until(async () => {
      const left = await writer.getChildren(`${services}/shop/providers`);
      if (!left.ok) writer = await session(30_000);
      expect(left.ok && left.value.names).toEqual([]);
    });
    const asBefore = { a: 'up 100', b: 'up 100', c: 'up 100' };
    await throughout(1_000, () => undefined);
    expect(await peers()).toEqual(asBefore);
    const again = await session(30_000);
    for (const id of ['a', 'b', 'c']) await register(id, again);
    await throughout(SETTLE_MS, () => undefined);
    expect(await peers()).toEqual(asBefore);
    expect((await projection()).length).toBe(before.length);
  });

  test('away when an instance was just missing: time alone takes nobody out', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b', 'c', 'd']) await register(id);
    const path = await register('e', provider);
    const running = await lead();
    await throughout(SETTLE_MS, () => undefined); // the start's own settling
    await provider.remove(path, -1);
    await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(false));
    running.doors.zookeeper.setMode('cut');
    await until(() => expect(running.controller.readiness().zookeeper.state).not.toBe('ok'));
    await register('e', provider);
    await throughout(2_500, () => undefined);
    expect(await peers()).toMatchObject({ e: 'up 100' });
    running.doors.zookeeper.setMode('pass');
    await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(true));
    expect(running.controller.events('shop')?.map((one) => one.event)).not.toContain('lost');
  });

  test('a restart of the controller while instances vanish: they are held, in their own proportion', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b']) await register(id);
    const path = await register('c', provider);
    const first = await lead();
    await done(first, { kind: 'set_versions', service: 'shop', versions: { v1: 100 } });
    await first.close();
    await provider.remove(path, -1);
    const second = await lead();
    const share = 'up 333333';
    expect(await peers()).toEqual({ a: share, b: share, c: share });
    expect(second.controller.instance('shop', 'c')).toMatchObject({ registered: false });
    await until(async () => expect((await peers()).c ?? 'gone 0').toBe('gone 0'));
  });

  test('that has forgotten everything, found by a controller that starts: nothing is published over what stands', async () => {
    await register('a');
    const first = await lead();
    await done(first, { kind: 'patch_spec', service: 'shop', spec: { routes: [{ host: '*', path: '/' }] } });
    await first.close();
    const before = await projection();
    roots += 1;
    [root, services] = [`/ebbgate-${String(roots)}`, `/services-${String(roots)}`];
    const second = await start();
    await until(() =>
      expect(second.controller.readiness().zookeeper).toMatchObject({
        state: 'degraded',
        detail: expect.stringMatching(/accept-data-loss/) as string,
      }),
    );
    expect(await refused(second, { kind: 'patch_spec', service: 'shop', spec: {} })).toMatchObject({
      code: 'not_ready',
    });
    expect(await projection()).toBe(before);
    const third = await start();
    await until(() => expect(third.controller.readiness().zookeeper.detail).toMatch(/accept-data-loss/));
    expect(await projection()).toBe(before);
    await second.close();
    await command('FLUSHALL');
    await until(() => expect(third.controller.readiness()).toMatchObject({ ready: true }));
  });
});

describe('what is written into the wishes from outside', () => {
  const path = (): string => `${root}/intents/shop`;

  test('a change: the next wish is decided anew on top of it', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await done(running, { kind: 'set_weights', service: 'shop', weights: { a: 5 } });
    const node = await writer.getData(path());
    if (!node.ok) throw new Error(node.error.message);
    const record = JSON.parse(node.value.data.toString()) as StoredIntent['record'];
    const changed = {
      ...record,
      rev: record.rev + 1,
      instances: { ...record.instances, b: { ...record.instances.a, weight: 9 } },
    };
    const writes = [5, 6, 7].map((rev) =>
      writer.setData(path(), Buffer.from(JSON.stringify({ ...changed, rev })), -1),
    );
    await done(running, { kind: 'set_weights', service: 'shop', weights: { a: 6 } });
    await Promise.all(writes);
    await until(async () => expect(await peers()).toMatchObject({ b: 'up 9' }));
  });

  test('garbage: what was decided goes on, also after a restart; a wish on top is refused with the reason', async () => {
    for (const id of ['a', 'b']) await register(id);
    await register('c', writer, 'cart');
    const first = await lead();
    await done(first, { kind: 'patch_spec', service: 'shop', spec: { routes: [{ host: '*', path: '/' }] } });
    await done(first, { kind: 'isolate', selector: only('a') });
    const good = await writer.getData(path());
    await writer.setData(path(), Buffer.from('{"v":1'), -1);
    await until(() =>
      expect(first.controller.service('shop')?.problems).toMatchObject([{ code: 'damaged_intent' }]),
    );
    expect(await refused(first, { kind: 'restore', selector: only('a') })).toMatchObject({
      code: 'conflict',
      detail: expect.stringMatching(/znode/) as string,
    });
    await first.close();
    const routes = await command('HGET', KEYS.set('@routes'), 'payload');
    const second = await lead();
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
    expect(await command('HGET', KEYS.set('@routes'), 'payload')).toBe(routes);
    expect(second.controller.service('shop')?.problems).toMatchObject([{ code: 'damaged_intent' }]);
    expect(await refused(second, { kind: 'set_weights', service: 'shop', weights: { b: 1 } })).toMatchObject({
      code: 'conflict',
    });
    await done(second, { kind: 'set_weights', service: 'cart', weights: { c: 7 } });
    expect(await peers('cart')).toEqual({ c: 'up 7' });
    if (good.ok) await writer.setData(path(), good.value.data, -1);
    await until(async () => {
      await done(second, { kind: 'restore', selector: only('a') });
      expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    });
  });

  test('a record of a name that no service can have stops nobody', async () => {
    await register('a');
    await createPath(writer, `${root}/intents`);
    const record = { v: 1, rev: 1, spec: {}, instances: {}, versions: {}, ops: [], events: [] };
    await writer.create(`${root}/intents/No Service`, Buffer.from(JSON.stringify(record)));
    const running = await lead();
    expect(await peers()).toEqual({ a: 'up 100' });
    expect(running.controller.services().map((one) => one.service)).toEqual(['shop']);
  });
});

describe('the roster', () => {
  test('a silent gateway blocks until somebody vouches for it; a live one can neither be forgotten nor leave', async () => {
    for (const id of ['a', 'b']) await register(id);
    const [one, two] = [new Gateway('g-1'), new Gateway('g-2')];
    const running = await lead();
    await enrolled(running, 'g-1', 'g-2');
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-2' })).toMatchObject({
      code: 'conflict',
    });
    expect(await refused(running, { kind: 'leave_gateway', gateway: 'g-2' })).toMatchObject({
      code: 'conflict',
    });
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-9' })).toMatchObject({
      code: 'not_found',
    });
    two.pause();
    const { operation } = await done(running, drainOf('a'));
    const id = operation?.id ?? '';
    await until(() =>
      expect(running.controller.operation(id)?.waiting_for.join()).toMatch(/^gateway g-2 has been silent/),
    );
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-2' }, { reason: '' })).toMatchObject({
      field: 'reason',
    });
    await done(running, { kind: 'forget_gateway', gateway: 'g-2' }, { reason: 'its host burnt' });
    await until(() => expect(resultOf(running, id)).toBe('drained'));
    const gone = [{ id: 'g-2', at: expect.any(String) as string, how: 'forgotten' }];
    expect(running.controller.operation(id)?.gateways).toEqual({ asked: ['g-1'], not_asked: gone });
    one.pause();
    await done(running, { kind: 'leave_gateway', gateway: 'g-1' });
    expect(running.controller.gateways()).toEqual([]);
    await done(running, { kind: 'join_gateway', gateway: 'g-1' });
    expect(running.controller.gateways()).toMatchObject([{ id: 'g-1', state: 'unknown', in_roster: true }]);
    expect(running.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: false });
    await done(running, { kind: 'leave_gateway', gateway: 'g-1' });
    await until(() =>
      expect(running.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: true }),
    );
    two.resume();
    await enrolled(running, 'g-2');
  });

  test('names that nobody ever heard are shown, block nothing, reach no ZooKeeper, and go by one command', async () => {
    for (const id of ['a', 'b']) await register(id);
    const ghosts = Array.from({ length: 3_000 }, (_, n) => ['1700000000', `ghost-${String(n)}`]);
    await command('ZADD', KEYS.gateways, ...ghosts.flat());
    new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-1');
    const { operation } = await done(running, drainOf('a'));
    await until(() => expect(resultOf(running, operation?.id ?? '')).toBe('drained'));
    const gateways = running.controller.gateways();
    expect(gateways.find((one) => one.id === 'g-1')).toMatchObject({ state: 'live', in_roster: true });
    const shown = gateways.filter((one) => one.id !== 'g-1');
    expect(shown).toHaveLength(100);
    for (const one of shown) expect(one).toMatchObject({ state: 'never_heard', in_roster: false });
    expect(await writer.getChildren(`${root}/gateways`)).toMatchObject({
      ok: true,
      value: { names: ['g-1'] },
    });
    await done(running, { kind: 'forget_gateways', gateways: [], never_heard: true });
    await until(async () => {
      expect(running.controller.gateways().map((one) => one.id)).toEqual(['g-1']);
      expect(running.controller.neverHeard()).toBe(0);
      expect(await command('ZRANGE', KEYS.gateways, '0', '-1')).toEqual(['g-1']);
    });
  });

  test('one that was heard by nobody while it beat blocks a controller that starts later, a flushed Redis included', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gone = new Gateway('g-0');
    await until(async () => expect(await command('EXISTS', KEYS.heartbeat('g-0'))).toBe(1));
    await gone[Symbol.asyncDispose]();
    new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-0', 'g-1');
    const { operation } = await done(running, drainOf('a'));
    const id = operation?.id ?? '';
    const blocked = (at: Running): unknown =>
      until(() =>
        expect(at.controller.operation(id)?.waiting_for).toEqual([
          expect.stringMatching(/^gateway g-0 has (been silent|not been heard)/),
        ]),
      );
    await blocked(running);
    await command('FLUSHALL');
    await until(async () => expect((await meta()).sealed).toBe('1'));
    await blocked(running);
    await running.close();
    const next = await lead();
    await enrolled(next, 'g-0', 'g-1');
    await blocked(next);
    expect(resultOf(next, id)).toBeNull();
    expect(
      await refused(next, { kind: 'forget_gateways', gateways: ['g-0', 'g-1'], never_heard: false }),
    ).toMatchObject({ code: 'conflict', detail: expect.stringContaining('g-1') as string });
    expect(
      await refused(next, { kind: 'forget_gateways', gateways: ['g-0', 'g-7'], never_heard: false }),
    ).toMatchObject({ code: 'not_found', detail: expect.stringContaining('g-7') as string });
    await done(next, { kind: 'forget_gateways', gateways: ['g-0'], never_heard: true });
    await until(() => expect(resultOf(next, id)).toBe('drained'));
  });

  test('a claim to follow an epoch of the far future, or always a higher one, brings few new epochs', async () => {
    await register('a');
    const running = await lead();
    const liar = new Gateway('g-1');
    liar.follows = false;
    const before = await meta();
    liar.applied = { epoch: Number.MAX_SAFE_INTEGER - 2_000_000, generation: 1 };
    await enrolled(running, 'g-1');
    liar.applied = { epoch: before.epoch + 10, generation: 1 };
    await until(async () => expect((await meta()).epoch).toBe(before.epoch + 11));
    let claims = 0;
    await until(async () => {
      const now = await meta();
      liar.applied = { epoch: now.epoch + 1, generation: 1 };
      claims += 1;
      expect(claims).toBeGreaterThan(40);
    });
    expect((await meta()).epoch - before.epoch).toBeLessThan(20);
  });

  test('a gateway that was heard, and fell silent before ZooKeeper could be told, blocks all the same', async () => {
    for (const id of ['a', 'b']) await register(id);
    const one = new Gateway('g-1');
    one.open.set('a', 1);
    const running = await lead();
    await enrolled(running, 'g-1');
    const { operation } = await done(running, drainOf('a'));
    running.doors.zookeeper.setMode('cut');
    await until(() => expect(running.controller.readiness().zookeeper.state).not.toBe('ok'));
    const two = new Gateway('g-2');
    await until(() => expect(running.controller.gateways().map((each) => each.id)).toEqual(['g-1', 'g-2']));
    two.pause();
    await until(() =>
      expect(running.controller.gateways()[1]).toMatchObject({ state: 'unknown', in_roster: false }),
    );
    one.open.clear();
    await until(() =>
      expect(running.controller.operation(operation?.id ?? '')?.waiting_for).toMatchObject([
        expect.stringMatching(/g-2/),
      ]),
    );
    expect(resultOf(running, operation?.id ?? '')).toBeNull();
  });
});

test('the bytes in Redis are those of the contract', async () => {
  await register('a');
  await lead();
  const [payload, hash] = (await command('HMGET', KEYS.set('shop'), 'payload', 'hash')) as string[];
  expect(
    createHash('sha1')
      .update(payload ?? '')
      .digest('hex'),
  ).toBe(hash);
});
