import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { productRoot } from '../cli/product.js';
import { reservePort } from '../local/port_reservation.js';
import { launch, type LocalProcess } from '../local/process.js';
import { ask } from '../local/redis.js';
import { createFeedback } from '../redis/feedback.js';
import { encodeHead, joinCopy } from '../plan/copy_document.js';
import { createRedisCopy } from '../redis/copy.js';
import { CHANNELS, COPY_KEYS, KEYS } from '../redis/keys.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts } from '../redis/scripts.js';
import { buildEncoded, buildSet } from './builders.js';
import { createRecordingLog } from './log.js';

/*
 * The users of Redis as make-secrets.sh writes them from users.acl: a real Redis with them lets the controller and a
 * gateway do what they must, and a gateway nothing that could steer traffic.
 */

const root = productRoot();
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-users-'));
const secret = (file: string): string => readFileSync(join(dir, file), 'utf8').trim();
const log = createRecordingLog();
let port: number;
let redis: LocalProcess;
let gateway: Redis;
let controller: Redis;

function makeSecrets(): void {
  const script = join(root, 'control-plane/container/make-secrets.sh');
  const template = join(root, 'control-plane/redis/users.acl');
  const made = spawnSync('sh', [script, dir, template, `127.0.0.1:${port}`], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
}

async function connect(username: string, password: string, options = {}): Promise<Redis> {
  const client = new Redis<'legacy'>({
    port,
    host: '127.0.0.1',
    username,
    password,
    lazyConnect: true,
    ...options,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

beforeAll(async () => {
  port = await reservePort();
  makeSecrets();
  redis = await launch({
    name: `redis-server on port ${port}`,
    command: 'redis-server',
    args: [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', ''],
      ...['--aclfile', join(dir, 'redis/users.acl')],
    ],
    logFile: join(dir, 'redis.log'),
    ready: () => ask(port, 'PING\r\n', 'NOAUTH'),
  });
  const readyCheck = { enableReadyCheck: false }; // INFO is not the gateways'
  gateway = await connect('gateway', secret('gateway/redis-password'), readyCheck);
  controller = await connect('controller', secret('controller/redis-password'));
});
afterAll(async () => {
  gateway.disconnect();
  controller.disconnect();
  await redis.stop();
  rmSync(dir, { recursive: true });
});

describe('the secrets', () => {
  it('are long, differ, are kept, and are nowhere but in their own files', () => {
    const files = [
      'controller/token',
      'controller/redis-password',
      'gateway/redis-password',
      'redis/health-password',
    ];
    const before = files.map(secret);
    expect(new Set(before).size).toBe(files.length);
    for (const one of before) expect(one).toMatch(/^[0-9a-f]{64}$/);
    makeSecrets();
    expect(files.map(secret)).toEqual(before);
    for (const one of before) expect(secret('redis/users.acl')).not.toContain(one);
  });

  it('may be brought along', () => {
    const own = 'a-token-of-my-own';
    const kept = secret('controller/token');
    writeFileSync(join(dir, 'controller/token'), own);
    makeSecrets();
    expect(secret('controller/token')).toBe(own);
    writeFileSync(join(dir, 'controller/token'), kept);
    makeSecrets();
  });
});

describe('the controller', () => {
  it('publishes, and hears gateways', async () => {
    const url = secret('controller/redis-url');
    const scripts = await loadScripts(join(root, 'lua/redis'));
    await using publisher = createPublisher({ url, log, clock, scripts, commandTimeoutMs: 10_000 });
    await using feedback = createFeedback({ url, log, clock, pollMs: 50 });
    await Promise.all([publisher.start(), feedback.start()]);
    await vi.waitFor(
      () => expect([publisher.state().state, feedback.state().state]).toEqual(['connected', 'connected']),
      { timeout: 15_000 },
    );
    expect(await publisher.open(7)).toMatchObject({ kind: 'opened' });
    const encoded = buildEncoded(buildSet());
    const request = {
      epoch: 7,
      last_generation: 0,
      expected_generation: 0,
      at: '2026-11-21T00:00:00Z',
      encoded,
    };
    expect(await publisher.publish(request)).toMatchObject({ kind: 'published' });
    expect(await publisher.seal(7)).toEqual({ kind: 'sealed' });
    expect(await publisher.probe()).toBeNull();
    expect(await publisher.sets()).toMatchObject({ ok: true, value: [{ epoch: 7 }] });
    expect(await publisher.meta()).toMatchObject({ ok: true, value: { epoch: 7, sealed: true } });
    await feedback.forget('gateway-9');
    expect(log.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    await gateway.publish(CHANNELS.report, 'gateway-1');
  });

  it('keeps the copy of the truth: writes it whole, changes it, keeps the one before, reads both', async () => {
    const url = secret('controller/redis-url');
    const { copy: script } = await loadScripts(join(root, 'lua/redis'));
    await using copies = createRedisCopy({ url, log, clock, script, headOf: encodeHead, join: joinCopy });
    await copies.start();
    await vi.waitFor(async () => expect(await copies.epoch()).toMatchObject({ ok: true }), {
      timeout: 15_000,
    });
    const copyOf = (...names: readonly string[]) => ({
      ...{ epoch: 7, at: '2026-05-01T12:00:00.000Z', tokens: true },
      records: names.map((name) => ({ record: `intents/${name}`, value: '{}' })),
    });
    expect(await copies.replace(copyOf('a', 'b'), false)).toEqual({ ok: true, value: null });
    expect(await copies.replace(copyOf('a', 'c'), true)).toEqual({ ok: true, value: null });
    expect(await copies.epoch()).toEqual({ ok: true, value: 7 });
    expect(await copies.audit.append(7, 0, [{ n: 1, text: '{}' }])).toEqual({ ok: true, value: 'done' });
    expect(await copies.audit.newest()).toEqual({ ok: true, value: { n: 1, text: '{}' } });
    expect(await copies.audit.read()).toEqual({ ok: true, value: ['{}'] });
    expect(await copies.audit.clear(7)).toEqual({ ok: true, value: null });
    expect(await copies.read('newest')).toMatchObject({ ok: true, value: expect.stringMatching(/\/c"/) });
    expect(await copies.read('previous')).toMatchObject({ ok: true, value: expect.stringMatching(/\/b"/) });
  });
});

const unnamed = (key: string): string => `return redis.call('HMGET', '${key}', 'head')`;

describe('a gateway', () => {
  it('follows: the script, the sets, the channel', async () => {
    const follow = readFileSync(join(root, 'lua/redis/follow.lua'), 'utf8');
    const entries = (await gateway.eval(follow, 2, KEYS.meta, KEYS.index, '0', '0')) as string[];
    expect(entries.slice(0, 4)).toEqual(['7', '1', '1', '1']);
    expect(await gateway.hmget(KEYS.set(entries[4]!), 'epoch', 'generation')).toEqual(['7', '1']);
    const subscriber = new Redis<'legacy'>({ ...gateway.options, replyMapping: 'legacy' });
    await expect(subscriber.subscribe(CHANNELS.changed)).resolves.toBe(1);
    subscriber.disconnect();
  });

  it('reports: its heartbeat, its counters, its place in the list', async () => {
    expect(await gateway.set(KEYS.heartbeat('gateway-1'), '{}', 'PX', 15_000)).toBe('OK');
    expect(await gateway.set(KEYS.stats('gateway-1'), '{}', 'PX', 120_000)).toBe('OK');
    expect(await gateway.zadd(KEYS.gateways, 1, 'gateway-1')).toBe(1);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['write a set', () => gateway.hset(KEYS.set('shop'), 'payload', '{}')],
    ['write meta', () => gateway.hset(KEYS.meta, 'epoch', '9')],
    ['replace meta by what it may write', () => gateway.set(KEYS.meta, '9')],
    ['put a set into the index', () => gateway.zadd(KEYS.index, 9, 'shop')],
    [
      'write in a script',
      () => gateway.eval("return redis.call('HSET', KEYS[1], 'epoch', '9')", 1, KEYS.meta),
    ],
    [
      'write the index in a script',
      () => gateway.eval("return redis.call('ZADD', KEYS[1], 9, 'x')", 1, KEYS.index),
    ],
    ['run a script over a set', () => gateway.eval('return 1', 1, KEYS.set('shop'))],
    ['say that something changed', () => gateway.publish(CHANNELS.changed, '9:9')],
    ['read what others report', () => gateway.get(KEYS.heartbeat('gateway-2'))],
    ['read other keys', () => gateway.hmget('elsewhere', 'a')],
    ...Object.values(COPY_KEYS).flatMap((key): [string, () => Promise<unknown>][] => [
      [`read ${key}`, () => gateway.hmget(key, 'head')],
      [`read ${key} in a script`, () => gateway.eval("return redis.call('HGETALL', KEYS[1])", 1, key)],
      [`read ${key} in a script that does not name it`, () => gateway.eval(unnamed(key), 1, KEYS.meta)],
    ]),
    ['delete', () => gateway.del(KEYS.meta)],
    ['empty the server', () => gateway.flushall()],
    ['list keys', () => gateway.keys('*')],
    ['change the server', () => gateway.config('GET', '*')],
  ])('cannot %s', async (_, attempt) => {
    await expect(attempt()).rejects.toThrow(
      /NOPERM|ACL failure in script|The user executing the script can't/,
    );
  });
});

describe('anybody else', () => {
  it('is nobody: without a name, with a wrong password, as the health check', async () => {
    expect(await ask(port, 'GET x\r\n', 'NOAUTH')).toBe(true);
    await expect(connect('gateway', 'wrong', { retryStrategy: null })).rejects.toThrow();
    const health = await connect('health', secret('redis/health-password'), { enableReadyCheck: false });
    expect(await health.ping()).toBe('PONG');
    await expect(health.hmget(KEYS.meta, 'epoch')).rejects.toThrow(/NOPERM/);
    health.disconnect();
  });

  it.each([['flushall'], ['keys', '*'], ['config', 'get', '*'], ['acl', 'list'], ['get', 'elsewhere']])(
    'not even the controller may %s',
    async (...words) => {
      const [command = '', ...args] = words;
      await expect(controller.call(command, ...args)).rejects.toThrow(/NOPERM/);
    },
  );
});
