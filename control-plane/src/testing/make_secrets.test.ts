import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { productRoot } from '../cli/product.js';
import { parseRedisUrl } from '../model/redis_url.js';

/*
 * make-secrets.sh as the container runs it: what it makes, takes, replaces, and what it says to whoever brought a volume
 * that belongs to somebody else.
 */

/** Nobody in particular. As root every directory can be written, so the script then runs as this one. */
const STRANGER = 65_534;
const isRoot = process.getuid?.() === 0;
const uid = isRoot ? STRANGER : process.getuid!();

let base: string;
let dir: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ebbgate-secrets-'));
  chmodSync(base, 0o755);
  dir = join(base, 'secrets');
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  // A checkout may lie where a stranger cannot look.
  for (const file of [
    'container/make-secrets.sh',
    ...['users', 'users_sentinel', 'sentinels'].map((name) => `redis/${name}.acl`),
  ])
    copyFileSync(join(productRoot(), 'control-plane', file), join(base, file.split('/')[1]!));
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

const SENTINELS = 'redis+sentinel://10.0.0.1,10.0.0.2,10.0.0.3/ebbgate';

function makeSecrets(words: readonly string[] = [], input = '', redis = 'redis:6379') {
  const { status, stderr } = spawnSync(
    '/bin/sh',
    [join(base, 'make-secrets.sh'), dir, join(base, 'users.acl'), redis, ...words],
    { encoding: 'utf8', input, ...(isRoot ? { uid: STRANGER, gid: STRANGER } : {}) },
  );
  return { status, said: stderr };
}
const secret = (file: string): string => readFileSync(join(dir, file), 'utf8').trim();
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** The passwords that Redis takes from a user, as hashes. */
const taken = (user: string, file = 'redis/users.acl'): readonly string[] => {
  const line = secret(file)
    .split('\n')
    .find((one) => one.startsWith(`user ${user} `))!;
  return [...line.matchAll(/#([0-9a-f]{64})/g)].map((match) => match[1]!);
};

describe('put', () => {
  it.each([
    ['token', 'my.own-token/+=', ['controller/token']],
    ['gateway/redis-password', 'a:b@c/d', ['gateway/redis-password']],
    ['controller/redis-password', 'a_b~c', ['controller/redis-password']],
    ['redis/health-password', 'x', ['redis/health-password']],
  ])('brings %s along before anything is made', (name, own, files) => {
    expect(makeSecrets(['put', name], `${own}\n`)).toMatchObject({ status: 0 });
    expect(makeSecrets()).toMatchObject({ status: 0, said: '' });
    expect(files.map(secret)).toEqual(files.map(() => own));
    expect(existsSync(join(dir, `${name}.former`))).toBe(false);
  });

  it.each([
    ['an empty one', ['put', 'token'], '\n', 1, 'token is empty'],
    ['a space', ['put', 'token'], 'a b\n', 1, 'token may contain'],
    ['a second line', ['put', 'gateway/redis-password'], 'a\nb\n', 1, 'gateway/redis-password may contain'],
    ['what changes a URL', ['put', 'controller/redis-password'], 'a@b\n', 1, 'controller/redis-password may'],
    ['another name', ['put', 'gateway/token'], 'a\n', 2, 'SECRET must be token'],
    ['no name', ['new'], '', 2, 'SECRET must be token'],
    ['another verb', ['rotate'], '', 2, 'VERB must be make'],
  ])('refuses %s, and changes nothing', (_, words, input, status, why) => {
    expect(makeSecrets().status).toBe(0);
    const before = [secret('controller/token'), secret('redis/users.acl')];
    const { said, ...end } = makeSecrets(words, input);
    expect(end).toEqual({ status });
    expect(said).toContain(why);
    expect([secret('controller/token'), secret('redis/users.acl')]).toEqual(before);
  });

  it('checks what was put there by hand, too', () => {
    expect(makeSecrets().status).toBe(0);
    writeFileSync(join(dir, 'controller/redis-password'), 'p@ss');
    expect(makeSecrets()).toMatchObject({ status: 1 });
  });
});

describe('a password that is replaced', () => {
  it.each([
    ['controller', 'controller/redis-password'],
    ['gateway', 'gateway/redis-password'],
    ['health', 'redis/health-password'],
  ])("of %s is taken beside the new one, until 'retire'", (user, name) => {
    makeSecrets();
    const first = secret(name);
    const { status, said } = makeSecrets(['new', name]);
    const second = secret(name);
    expect({ status, said }).toEqual({ status: 0, said: `make-secrets: ${name} is another one now\n` });
    expect(second).not.toBe(first);
    expect(taken(user)).toEqual([sha256(second), sha256(first)]);
    makeSecrets(); // as every `up` does
    expect(taken(user)).toEqual([sha256(second), sha256(first)]);
    makeSecrets(['put', name], second); // no change
    expect(taken(user)).toEqual([sha256(second), sha256(first)]);
    expect(makeSecrets(['retire']).status).toBe(0);
    expect(taken(user)).toEqual([sha256(second)]);
  });

  it('is in the URL of the controller', () => {
    makeSecrets(['put', 'controller/redis-password'], 'another');
    expect(secret('controller/redis-url')).toBe('redis://controller:another@redis:6379/0');
  });
});

describe('a Redis that sentinels watch', () => {
  const MORE = ['gateway/sentinel-password', 'redis/replica-password', 'redis/sentinel-password'];

  it('has users for replicas and sentinels, the sentinels have theirs, and the URL says all that a controller needs', () => {
    expect(makeSecrets([], '', SENTINELS)).toMatchObject({ status: 0, said: '' });
    const url = parseRedisUrl(secret('controller/redis-url'));
    expect(url).toMatchObject({
      ok: true,
      value: {
        ...{ kind: 'sentinel', name: 'ebbgate', username: 'controller' },
        password: secret('controller/redis-password'),
        nodes: [1, 2, 3].map((n) => ({ host: `10.0.0.${String(n)}`, port: 26_379 })),
        sentinel: { username: 'ebbgate', password: secret('gateway/sentinel-password') },
      },
    });
    for (const [user, name, file] of [
      ['replica', 'redis/replica-password', undefined],
      ['sentinel', 'redis/sentinel-password', undefined],
      ['sentinel', 'redis/sentinel-password', 'redis/sentinels.acl'],
      ['ebbgate', 'gateway/sentinel-password', 'redis/sentinels.acl'],
      ['health', 'redis/health-password', 'redis/sentinels.acl'],
    ] as const)
      expect(taken(user, file)).toEqual([sha256(secret(name))]);
    const before = MORE.map(secret);
    expect(new Set(before).size).toBe(MORE.length);
    makeSecrets([], '', SENTINELS);
    expect(MORE.map(secret)).toEqual(before);
  });

  it.each(MORE)('changes %s as any other', (name) => {
    makeSecrets([], '', SENTINELS);
    const before = secret(name);
    expect(makeSecrets(['new', name], '', SENTINELS).status).toBe(0);
    const both = [sha256(secret(name)), sha256(before)];
    if (name.startsWith('redis/')) expect(taken(name.split(/[/-]/)[1]!)).toEqual(both);
    if (name !== 'redis/replica-password')
      expect(taken(name.startsWith('redis/') ? 'sentinel' : 'ebbgate', 'redis/sentinels.acl')).toEqual(both);
  });

  it('leaves none of that where there is one Redis', () => {
    makeSecrets();
    expect(MORE.filter((name) => existsSync(join(dir, name)))).toEqual([]);
    expect(secret('redis/users.acl')).not.toMatch(/^user (replica|sentinel) /m);
    expect(makeSecrets(['new', MORE[0]!])).toMatchObject({ status: 2 });
  });

  it.each([
    ['redis+sentinel://me@10.0.0.1/ebbgate', 'no user and no password'],
    ['redis+sentinel://10.0.0.1', 'REDIS must be'],
    ['redis+cluster://10.0.0.1', 'REDIS must be'],
  ])('refuses %s', (redis, why) => {
    const { status, said } = makeSecrets([], '', redis);
    expect(status).toBe(2);
    expect(said).toContain(why);
  });
});

describe('the token', () => {
  it('is the controller’s alone; what an older version gave to gateways is taken away', () => {
    mkdirSync(join(dir, 'gateway'), { mode: 0o777 });
    chmodSync(join(dir, 'gateway'), 0o777);
    writeFileSync(join(dir, 'gateway/token'), 'everything');
    expect(makeSecrets().status).toBe(0);
    expect(existsSync(join(dir, 'gateway/token'))).toBe(false);
    expect(secret('controller/token')).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('a volume of somebody else', () => {
  /** As a volume looks that was filled as root before the first start. */
  function close(part: string): void {
    mkdirSync(join(dir, part), { recursive: true });
    writeFileSync(join(dir, part, 'token'), 'my-own\n');
    chmodSync(join(dir, part), 0o555);
  }

  it.each([[['controller']], [['gateway', 'redis']]])('is named, with the way out: %s', (parts) => {
    for (const part of parts) close(part);
    const { status, said } = makeSecrets();
    expect(status).toBe(1);
    const closed = parts.map((part) => join(dir, part)).join(' ');
    expect(said).toBe(
      `make-secrets: uid ${String(uid)} cannot write ${closed}; with Compose: docker compose run --rm give-volumes, ` +
        `else as root: chown -R ${String(uid)} ${closed}\n`,
    );
    for (const part of parts) chmodSync(join(dir, part), 0o777); // what giving it away does
    expect(makeSecrets().status).toBe(0);
    if (parts.includes('controller')) expect(secret('controller/token')).toBe('my-own');
  });
});
