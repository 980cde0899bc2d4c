import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { COPY_KEYS, KEYS } from './keys.js';

/*
 * The user that docs/how-to/redis-users.md gives a gateway: what a gateway does must pass, and what would steer traffic
 * must not.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/how-to/redis-users.md'), 'utf8');
const follow = readFileSync(join(ROOT, 'lua/redis/follow.lua'), 'utf8');
const limit = readFileSync(join(ROOT, 'lua/redis/limit.lua'), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-gateway-user-'));
let redis: LocalProcess;
let gateway: Redis;
let person: Redis;

beforeAll(async () => {
  const port = await reservePort();
  redis = await launchRedis({ dir, port });
  const [, rules = ''] = /^ACL SETUSER (edge-1 .*)$/m.exec(page) ?? [];
  person = new Redis<'legacy'>({ host: '127.0.0.1', port });
  expect(await person.call('ACL', 'SETUSER', ...rules.split(' '))).toBe('OK');
  await person.hset(KEYS.meta, { epoch: '1', generation: '1', sealed: '1' });
  // Without the ready check, which is an INFO that a gateway never sends.
  gateway = new Redis<'legacy'>({
    ...{ host: '127.0.0.1', port, username: 'edge-1', password: 'PASSWORD' },
    enableReadyCheck: false,
    disableClientInfo: true,
  });
});
afterAll(async () => {
  gateway.disconnect();
  person.disconnect();
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

it.each<readonly [string, ...string[]]>([
  ['EVAL', follow, '2', KEYS.meta, '{ebb}:index', '0', '0'],
  ['HMGET', KEYS.meta, 'epoch', 'generation', 'sealed'],
  ['HMGET', KEYS.set('shop'), 'epoch', 'generation', 'hash', 'payload'],
  ['SET', '{ebb}:gw:edge-1', '{}', 'PX', '86400000'],
  ['SET', '{ebb}:stats:edge-1', '{}', 'PX', '120000'],
  ['ZADD', '{ebb}:gateways', '1', 'edge-1'],
  ['PUBLISH', '{ebb}:report', 'edge-1'],
  [
    ...(['EVAL', limit, '2', '{ebb}:limit:gateways', '{ebb}:limit:abc', 'edge-1', '0', '1'] as const),
    ...(['1000', '10', '0', '100000', '-5'] as const),
  ],
])('may %s', async (command, ...args) => {
  await expect(gateway.call(command, ...args)).resolves.toBeDefined();
});

it.each<readonly [string, ...string[]]>([
  ['HSET', KEYS.set('shop'), 'payload', 'x'],
  ['SET', KEYS.set('shop'), 'x'],
  ['SET', KEYS.meta, 'x'],
  ['HSET', KEYS.meta, 'epoch', '9'],
  ['EVAL', "return redis.call('HSET', KEYS[1], 'epoch', '9')", '1', KEYS.meta],
  ['ZADD', '{ebb}:index', '9', 'shop'],
  [
    'EVAL',
    limit,
    '2',
    '{ebb}:limit:gateways',
    '{ebb}:gateways',
    'edge-1',
    '0',
    '1',
    '1000',
    '10',
    '0',
    '10',
    '0',
  ],
  ['EVAL', "return redis.call('ZADD', KEYS[1], 9, 'shop')", '1', '{ebb}:index'],
  ['SET', '{ebb}:limit:abc', 'x'],
  ['DEL', '{ebb}:limit:abc'],
  ['SET', '{ebb}:gw:edge-2', '{}'],
  ['PUBLISH', '{ebb}:changed', '9:9'],
  ['FLUSHALL'],
  // What was decided, who decided it, and the hashes of tokens.
  ...Object.values(COPY_KEYS).flatMap((key): readonly [string, ...string[]][] => [
    ['HMGET', key, 'head'],
    ['HGETALL', key],
    ['HSCAN', key, '0'],
    ['EVAL', "return redis.call('HMGET', KEYS[1], 'head')", '1', key],
    ['EVAL', `return redis.call('HMGET', '${key}', 'head')`, '1', KEYS.meta],
    ['SET', key, 'x'],
  ]),
])('may not %s', async (command, ...args) => {
  await expect(gateway.call(command, ...args)).rejects.toThrow(
    /NOPERM|can't (?:run this command|access at least one of the keys)/,
  );
});

const ENDLESS = 'while true do end';

it('can block Redis by a script without an end; the page’s way out ends it and locks the user out', async () => {
  expect(page).toMatch(/SCRIPT KILL\nredis-cli ACL SETUSER edge-1 off\nredis-cli CLIENT KILL USER edge-1/);
  await person.config('SET', 'busy-reply-threshold', '50');
  const kept = gateway.call('EVAL', ENDLESS, '0').catch((error: unknown) => String(error));
  await vi.waitFor(() => expect(person.ping()).rejects.toThrow(/BUSY/), { timeout: 10_000, interval: 20 });
  expect(await person.call('SCRIPT', 'KILL')).toBe('OK');
  expect(await kept).toMatch(/killed/i);
  expect(await person.call('ACL', 'SETUSER', 'edge-1', 'off')).toBe('OK');
  expect(await person.call('CLIENT', 'KILL', 'USER', 'edge-1')).toBe(1);
  await vi.waitFor(() => expect(gateway.status).not.toBe('ready'), { timeout: 10_000, interval: 20 });
  expect(await person.ping()).toBe('PONG');
  await person.call('ACL', 'SETUSER', 'edge-1', 'on');
  await vi.waitFor(() => expect(gateway.status).toBe('ready'), { timeout: 10_000, interval: 20 });
});

it('that has written before it goes on without an end leaves one way out: the end of the server', async () => {
  expect(page).toContain('redis-cli SHUTDOWN NOSAVE');
  const written = "redis.call('ZADD', '{ebb}:gateways', 1, 'edge-1') " + ENDLESS;
  gateway.call('EVAL', written, '0').catch(() => undefined); // has no answer
  await vi.waitFor(() => expect(person.ping()).rejects.toThrow(/BUSY/), { timeout: 10_000, interval: 20 });
  await expect(person.call('SCRIPT', 'KILL')).rejects.toThrow(/UNKILLABLE/);
  person.call('SHUTDOWN', 'NOSAVE').catch(() => undefined);
  await redis.exited;
});
