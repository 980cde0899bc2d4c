import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import type { LinkState } from '../model/ports.js';
import { localRedis } from '../testing/redis_address.js';
import { buildEncoded, buildPeer, buildSet } from '../testing/builders.js';
import { createRecordingLog, type RecordingLog } from '../testing/log.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { type LinkOptions, RedisLink } from './client.js';
import { KEYS } from './keys.js';
import { createPublisher, type RedisPublisher } from './publisher.js';
import { loadScripts, type PublishingScripts } from './scripts.js';

const SCRIPTS = fileURLToPath(new URL('../../../lua/redis', import.meta.url));
const AT = '2026-11-21T00:00:00Z';
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-link-'));
let scripts: PublishingScripts;
let log: RecordingLog;
let port: number;
let redis: LocalProcess;
let proxy: TcpProxy;
/** What a test has opened, newest last. */
let opened: AsyncDisposable[] = [];

beforeAll(async () => {
  scripts = await loadScripts(SCRIPTS);
  port = await reservePort();
  redis = await launchRedis({ dir, port });
});

afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  log = createRecordingLog();
  proxy = await startTcpProxy(port);
});

afterEach(async () => {
  for (const one of opened.toReversed()) await one[Symbol.asyncDispose]();
  opened = [];
  await proxy.close();
});

const address = (to: number): LinkOptions['address'] => localRedis(to);

async function link(options: Partial<LinkOptions> = {}): Promise<RedisLink & { readonly doubts: string[] }> {
  const made = new RedisLink({ address: address(proxy.port), name: 'test', log, clock, ...options });
  opened.push(made);
  const doubts: string[] = [];
  made.onDoubt((reason) => doubts.push(reason));
  await made.start();
  return Object.assign(made, { doubts });
}

async function publisherAt(to: number): Promise<RedisPublisher & { readonly doubts: string[] }> {
  const made = createPublisher({ url: `redis://127.0.0.1:${to}`, log, clock, scripts });
  opened.push(made);
  const doubts: string[] = [];
  made.onDoubt((reason) => doubts.push(reason));
  await made.start();
  return Object.assign(made, { doubts });
}

/** Waits for a state; the time is for a busy machine, and tests that promise a time measure it. */
async function becomes(
  state: LinkState['state'],
  ...links: readonly { state(): LinkState }[]
): Promise<void> {
  await vi.waitFor(
    () => {
      for (const one of links) expect(one.state().state).toBe(state);
    },
    { timeout: 20_000, interval: 5 },
  );
}

/** Waits for the one doubt that comes with a new connection. */
async function doubted(one: { readonly doubts: readonly string[] }): Promise<void> {
  await vi.waitFor(
    () => {
      expect(one.doubts).toHaveLength(1);
    },
    { timeout: 20_000, interval: 5 },
  );
}

const orders = (weight: number): ReturnType<typeof buildEncoded> =>
  buildEncoded(buildSet({ service: 'orders', peers: [buildPeer({ weight })] }));
const request = (epoch: number, seen: number, expected: number, weight: number) => ({
  epoch,
  last_generation: seen,
  expected_generation: expected,
  at: AT,
  encoded: orders(weight),
});

describe('a connection that is lost', () => {
  test('fails commands at once, comes back by itself, and that is a doubt', async () => {
    const one = await link();
    await becomes('connected', one);
    expect(one.doubts).toEqual([]);
    expect(await one.run('PING')).toEqual({ ok: true, value: 'PONG' });
    proxy.setMode('cut');
    await becomes('connecting', one);
    const started = performance.now();
    expect(await one.run('PING')).toMatchObject({
      ok: false,
      error: expect.stringContaining('not connected'),
    });
    expect(performance.now() - started).toBeLessThan(500);
    proxy.setMode('pass');
    await becomes('connected', one);
    expect(one.doubts).toEqual(['the connection was lost and made again']);
    expect(await one.run('PING')).toEqual({ ok: true, value: 'PONG' });
  });

  test('fails what is in flight, and never sends it again', async () => {
    const one = await link();
    const cli = await link({ address: address(port), name: 'cli' });
    await becomes('connected', one, cli);
    await cli.run('DEL', 'counter');
    proxy.setMode('swallow_answers');
    const answer = one.run('INCR', 'counter');
    await vi.waitFor(async () => {
      expect(await cli.run('GET', 'counter')).toEqual({ ok: true, value: '1' });
    });
    proxy.setMode('cut');
    proxy.setMode('pass');
    expect(await answer).toEqual({ ok: false, error: 'the connection was lost' });
    await doubted(one);
    await one.run('PING');
    expect(await cli.run('GET', 'counter')).toEqual({ ok: true, value: '1' });
  });

  test.each([
    ['for commands', undefined],
    ['for messages', 'updates'],
  ])('half-open, one %s is noticed within 3 s', async (_what, channel) => {
    const one = await link(channel === undefined ? {} : { channel });
    await becomes('connected', one);
    await pause(Math.random() * 1_000); // anywhere between two probes
    const started = performance.now();
    proxy.setMode('swallow');
    await becomes('connecting', one);
    expect(performance.now() - started).toBeLessThan(3_000);
    const knocks = proxy.knocks();
    await vi.waitFor(
      () => {
        expect(proxy.knocks()).toBeGreaterThan(knocks); // it is let in, hears nothing and tries again
      },
      { timeout: 20_000 },
    );
    expect(one.state().state).toBe('connecting');
    proxy.setMode('pass');
    await becomes('connected', one);
    expect(one.doubts).toHaveLength(1);
  });

  test('is logged once per change, not once per attempt', async () => {
    proxy.setMode('cut');
    const before = clock.wall();
    const one = await link();
    const after = clock.wall();
    await vi.waitFor(
      () => {
        expect(proxy.knocks()).toBeGreaterThan(5);
      },
      { timeout: 20_000 },
    );
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    const { state, since } = one.state();
    expect(state).toBe('connecting');
    expect(since).toBeGreaterThanOrEqual(before);
    expect(since).toBeLessThanOrEqual(after);
  });
});

test('a subscriber hears again after its connection was lost', async () => {
  const one = await link({ channel: 'updates' });
  const cli = await link({ address: address(port), name: 'cli' });
  const heard: string[] = [];
  one.onMessage((text) => heard.push(text));
  await becomes('connected', one, cli);
  await cli.run('PUBLISH', 'updates', 'one');
  await vi.waitFor(() => {
    expect(heard).toEqual(['one']);
  });
  proxy.setMode('cut');
  await becomes('connecting', one);
  proxy.setMode('pass');
  await becomes('connected', one);
  await cli.run('PUBLISH', 'updates', 'two');
  await vi.waitFor(() => {
    expect(heard).toEqual(['one', 'two']);
  });
});

test('the credentials of the address are used; wrong ones are a state with the reason, and no storm', async () => {
  const cli = await link({ address: address(port), name: 'cli' });
  await becomes('connected', cli);
  await cli.run('ACL', 'SETUSER', 'ebb', 'on', '>s3cret', '~*', '&*', '+@all');
  const one = await link({ address: { ...address(port), username: 'ebb', password: 's3cret', database: 2 } });
  await becomes('connected', one);
  expect(await one.run('ACL', 'WHOAMI')).toEqual({ ok: true, value: 'ebb' });
  expect((await one.run('CLIENT', 'INFO')) as { value?: unknown }).toMatchObject({
    value: expect.stringMatching(/name=test .*db=2/),
  });
  const wrong = await link({ address: { ...address(proxy.port), username: 'ebb', password: 'guess' } });
  await vi.waitFor(() => {
    expect(wrong.state().detail).toContain('WRONGPASS');
  });
  expect(JSON.stringify(log.lines)).not.toContain('guess');
});

test('another master_replid on the same connection is a doubt, and a replica is degraded', async () => {
  const one = await link({ address: address(port) });
  const master = await reservePort();
  const other = await launchRedis({
    dir: join(dir, 'master'),
    port: master,
    extraArgs: ['--repl-diskless-sync-delay', '0'],
  });
  opened.push(other);
  await becomes('connected', one);
  await one.run('REPLICAOF', '127.0.0.1', String(master));
  try {
    await becomes('degraded', one);
    await vi.waitFor(
      () => {
        expect(one.doubts.join()).toContain('master_replid');
      },
      { timeout: 20_000 },
    );
  } finally {
    await one.run('REPLICAOF', 'NO', 'ONE');
  }
  await becomes('connected', one);
});

test('close is quick in every state, may be called twice, and leaves nothing behind', async () => {
  const before = process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name)).length;
  const connected = await link();
  await becomes('connected', connected);
  const refused = await link({ address: address(await reservePort()) });
  await vi.waitFor(() => {
    expect(refused.state().detail).toContain('ECONNREFUSED');
  });
  const fresh = new RedisLink({ address: address(proxy.port), name: 'fresh', log, clock });
  const never = new RedisLink({ address: address(proxy.port), name: 'never', log, clock });
  await fresh.start();
  const silent = await link();
  await becomes('connected', silent);
  proxy.setMode('swallow');
  const unanswered = silent.run('PING');
  const started = performance.now();
  await Promise.all([connected, refused, fresh, never, silent].map((one) => one.close()));
  expect(performance.now() - started).toBeLessThan(2_500);
  expect(await unanswered).toMatchObject({ ok: false });
  await silent.close();
  await silent.start();
  expect(silent.state()).toMatchObject({ state: 'connecting', detail: 'closed' });
  expect(await silent.run('PING')).toMatchObject({ ok: false });
  await proxy.close();
  await vi.waitFor(
    () => {
      const now = process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name)).length;
      expect(now).toBeLessThanOrEqual(before);
    },
    { timeout: 5_000 },
  );
});

describe('publishing through failures', () => {
  beforeEach(async () => {
    const cli = await link({ address: address(port), name: 'cli' });
    await becomes('connected', cli);
    await cli.run('FLUSHALL');
  });

  test('a publish whose answer was lost is applied once; repeated it is the same', async () => {
    const one = await publisherAt(proxy.port);
    await becomes('connected', one);
    await one.open(10);
    proxy.setMode('swallow_answers');
    expect(await one.publish(request(10, 0, 0, 1))).toMatchObject({ kind: 'unavailable' });
    proxy.setMode('pass');
    await doubted(one);
    expect(await one.publish(request(10, 0, 0, 1))).toEqual({ kind: 'same', generation: 1 });
    expect(await one.publish(request(10, 1, 1, 2))).toEqual({ kind: 'published', generation: 2 });
  });

  test('no answer within the command timeout is unavailable, and not yet a lost connection', async () => {
    const one = await publisherAt(port);
    const cli = await link({ address: address(port), name: 'cli' });
    await becomes('connected', one, cli);
    await one.open(10);
    await cli.run('CLIENT', 'PAUSE', '20000', 'WRITE');
    const answer = await one.publish(request(10, 0, 0, 1));
    await cli.run('CLIENT', 'UNPAUSE');
    expect(answer).toEqual({ kind: 'unavailable', reason: 'no answer within 1000 ms' });
    expect(await one.publish(request(10, 0, 0, 1))).toEqual({ kind: 'same', generation: 1 });
    expect(one.doubts).toEqual([]);
  });

  test('FLUSHALL is lost; a new epoch heals it', async () => {
    const one = await publisherAt(port);
    const cli = await link({ address: address(port), name: 'cli' });
    await becomes('connected', one, cli);
    await one.open(10);
    await one.publish(request(10, 0, 0, 1));
    await cli.run('FLUSHALL');
    expect(await one.publish(request(10, 1, 1, 2))).toEqual({ kind: 'lost' });
    expect(await one.seal(10)).toEqual({ kind: 'lost' });
    expect(await one.meta()).toEqual({ ok: true, value: null });
    expect(await one.open(11)).toEqual({ kind: 'opened', generation: 0 });
    expect(await one.publish(request(11, 0, 0, 2))).toEqual({ kind: 'published', generation: 1 });
    expect(await one.seal(11)).toEqual({ kind: 'sealed' });
  });

  test('Redis away at the start: unavailable at once, and used as soon as it comes', async () => {
    const late = await reservePort();
    const one = await publisherAt(late);
    const started = performance.now();
    expect(await one.open(10)).toMatchObject({ kind: 'unavailable' });
    expect(await one.meta()).toMatchObject({ ok: false });
    expect(await one.sets()).toMatchObject({ ok: false });
    expect(performance.now() - started).toBeLessThan(500);
    opened.push(await launchRedis({ dir: join(dir, 'late'), port: late }));
    await becomes('connected', one);
    expect(one.doubts).toEqual([]);
    expect(await one.open(10)).toEqual({ kind: 'opened', generation: 0 });
  });

  test('a server restarted with old data is a doubt, and lost by its generation', async () => {
    const own = { dir: join(dir, 'old'), port: await reservePort() };
    const first = await launchRedis(own);
    opened.push(first);
    const one = await publisherAt(own.port);
    const cli = await link({ address: address(own.port), name: 'cli' });
    await becomes('connected', one, cli);
    await one.open(10);
    await one.publish(request(10, 0, 0, 1));
    await cli.run('SAVE');
    await one.publish(request(10, 1, 1, 2));
    first.kill('SIGKILL');
    await first.exited;
    await becomes('connecting', one);
    opened.push(await launchRedis(own));
    await becomes('connected', one, cli);
    expect(one.doubts).toEqual([expect.stringContaining('run_id')]);
    expect(await cli.run('HGET', KEYS.set('orders'), 'generation')).toEqual({ ok: true, value: '1' });
    expect(await one.publish(request(10, 2, 2, 2))).toEqual({ kind: 'lost' });
    expect(await one.publish(request(10, 2, 1, 1))).toEqual({ kind: 'lost' });
    expect(await one.seal(10)).toEqual({ kind: 'lost' });
    expect(await one.open(11)).toEqual({ kind: 'opened', generation: 1 });
    expect(await one.publish(request(11, 1, 1, 2))).toEqual({ kind: 'published', generation: 2 });
  });
});
