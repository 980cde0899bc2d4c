import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OPTIONS, parseConfig, apiTlsFiles } from './config.js';
import { Authority } from './testing/certificates.js';

/** The parsed configuration; fails the test if it does not parse. */
function parsed(env: Record<string, string> = {}) {
  const config = parseConfig(env);
  if (!config.ok) throw new Error(config.error.join('\n'));
  return config.value;
}

function errors(env: Record<string, string>): readonly string[] {
  const config = parseConfig(env);
  return config.ok ? [] : config.error;
}

it('takes every default, frozen', () => {
  const config = parsed();
  expect(config).toEqual({
    zookeeper: '127.0.0.1:2181',
    zookeeperSessionMs: 6_000,
    zookeeperAuthFile: '',
    zookeeperAcl: [],
    registrationAcl: [{ scheme: 'world', id: 'anyone', permissions: 1 }],
    zookeeperTls: 'off',
    zookeeperTlsCa: '',
    zookeeperTlsCert: '',
    zookeeperTlsKey: '',
    registryRoots: [{ path: '/services', format: 'json' }],
    root: '/ebbgate',
    redis: 'redis://127.0.0.1:6379',
    apiListen: { host: '127.0.0.1', port: 8090 },
    apiTlsCert: '',
    apiTlsKey: '',
    apiClientCa: '',
    apiCa: '',
    apiAdvertise: '',
    token: '',
    allowedNetworks: [],
    settleMs: 20_000,
    stateDir: '',
    suspectMs: 60_000,
    recheckMs: 300_000,
    forgetMs: 2_592_000_000,
    tombstoneMs: 600_000,
    clockBoundMs: 30_000,
    contractMost: 2,
    gatewaySilentMs: 5_000,
    drainTimeoutMs: 600_000,
    hooks: [],
    prometheus: '',
    hookCommands: '',
    controllerId: 'controller',
    logLevel: 'info',
  });
  expect(Object.isFrozen(config)).toBe(true);
});

it('lists all that is wrong at once, each by its variable', () => {
  const wrong = errors({
    EBBGATE_ZOOKEEPER: 'zoo',
    EBBGATE_SETTLE: 'soon',
    EBBGATE_LOG_LEVEL: 'loud',
    EBBGATE_ROOT: '/fine',
  });
  expect(wrong.map((line) => line.split(':')[0])).toEqual([
    'EBBGATE_ZOOKEEPER',
    'EBBGATE_SETTLE',
    'EBBGATE_LOG_LEVEL',
  ]);
  expect(wrong[2]).toBe('EBBGATE_LOG_LEVEL: must be one of debug, info, warn, error (got "loud")');
});

it('takes an empty variable for an absent one', () => {
  expect(parsed({ EBBGATE_SETTLE: '', EBBGATE_TOKEN: '' })).toEqual(parsed());
});

it('names the files by which ZooKeeper is reached, and never what is in them', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-config-'));
  const file = join(dir, 'auth');
  writeFileSync(file, 'digest:ebbgate secret', { mode: 0o600 });
  expect(errors({ EBBGATE_ZOOKEEPER_AUTH_FILE: file })).toEqual([
    `EBBGATE_ZOOKEEPER_AUTH_FILE: ${file}: line 1 must be digest:user:password, without spaces (got "${file}")`,
  ]);
  expect(errors({ EBBGATE_ZOOKEEPER_AUTH_FILE: 'auth', EBBGATE_ZOOKEEPER_ACL: 'everybody' })).toEqual([
    'EBBGATE_ZOOKEEPER_AUTH_FILE: must be an absolute path (got "auth")',
    expect.stringMatching(/^EBBGATE_ZOOKEEPER_ACL: must be none, or entries .* \(got "everybody"\)$/),
  ]);
  writeFileSync(file, '-----BEGIN CERTIFICATE-----');
  expect(errors({ EBBGATE_ZOOKEEPER_TLS_CA: file })).toEqual([
    'EBBGATE_ZOOKEEPER_TLS_CA: needs EBBGATE_ZOOKEEPER_TLS=on',
  ]);
  expect(parsed({ EBBGATE_ZOOKEEPER_TLS_CA: file, EBBGATE_ZOOKEEPER_TLS: 'on' })).toMatchObject({
    zookeeperTlsCa: file,
  });
  rmSync(dir, { recursive: true });
});

it('takes a certificate of the API with its key, and names what is missing or does not fit', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-config-'));
  const authority = new Authority(dir, 'ours');
  const [one, other] = [authority.sign('one'), authority.sign('other')];
  const pair = { EBBGATE_API_TLS_CERT: one.cert, EBBGATE_API_TLS_KEY: one.key };
  const good = parsed({ ...pair, EBBGATE_API_CLIENT_CA: authority.ca, EBBGATE_API_CA: authority.ca });
  expect(good).toMatchObject({ apiTlsCert: one.cert, apiTlsKey: one.key, apiClientCa: authority.ca });
  expect(apiTlsFiles(good)).toEqual({ ...one, clientCa: authority.ca });
  expect(apiTlsFiles(parsed({ EBBGATE_API_CA: authority.ca }))).toBeNull();
  expect(errors({ EBBGATE_API_TLS_CERT: one.cert })).toEqual([
    'EBBGATE_API_TLS_KEY: is missing; EBBGATE_API_TLS_CERT needs its key',
  ]);
  expect(errors({ EBBGATE_API_TLS_KEY: one.key })).toEqual([
    'EBBGATE_API_TLS_CERT: is missing; EBBGATE_API_TLS_KEY needs its certificate',
  ]);
  expect(errors({ EBBGATE_API_CLIENT_CA: authority.ca })).toEqual([
    'EBBGATE_API_CLIENT_CA: needs EBBGATE_API_TLS_CERT and EBBGATE_API_TLS_KEY',
  ]);
  expect(errors({ ...pair, EBBGATE_API_TLS_KEY: other.key })).toEqual([
    `EBBGATE_API_TLS_KEY: ${other.key} is not the key of the certificate in ${one.cert}; write both anew`,
  ]);
  expect(errors({ ...pair, EBBGATE_API_TLS_CERT: join(dir, 'none') })).toEqual([
    expect.stringMatching(/^EBBGATE_API_TLS_CERT: .*none cannot be read: ENOENT/),
  ]);
  const advertised = { ...pair, EBBGATE_API_ADVERTISE: 'http://10.0.0.5:8090' };
  expect(errors({ ...advertised, EBBGATE_ZOOKEEPER_TLS_CA: authority.ca })).toEqual([
    'EBBGATE_ZOOKEEPER_TLS_CA: needs EBBGATE_ZOOKEEPER_TLS=on',
    'EBBGATE_API_ADVERTISE: must be https://… with EBBGATE_API_TLS_CERT (got "http://10.0.0.5:8090")',
  ]);
  rmSync(dir, { recursive: true });
});

it('ignores what is not an option', () => {
  expect(parsed({ EBBGATE_NGINX: '/usr/sbin/nginx', HOME: '/' })).toEqual(parsed());
});

it('has defaults that pass, and one variable for each option', () => {
  const variables = Object.values(OPTIONS).map(({ env }) => env);
  expect(new Set(variables).size).toBe(variables.length);
  for (const { kind, fallback } of Object.values(OPTIONS)) expect(kind.parse(fallback).ok).toBe(true);
});

describe.each<{
  readonly kind: string;
  readonly variable: string;
  readonly name: keyof typeof OPTIONS;
  readonly good: readonly (readonly [string, unknown])[];
  readonly bad: readonly string[];
}>([
  {
    kind: 'duration',
    variable: 'EBBGATE_ZOOKEEPER_SESSION',
    name: 'zookeeperSessionMs',
    good: [
      ['1500ms', 1_500],
      ['30s', 30_000],
      ['1m', 60_000],
    ],
    bad: ['30', '1.5s', '-1s', '30 s', '999ms', '61s', '1h', 's'],
  },
  {
    kind: 'address to listen on',
    variable: 'EBBGATE_API_LISTEN',
    name: 'apiListen',
    good: [
      ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
      ['[::1]:8090', { host: '::1', port: 8090 }],
      ['control.internal:8090', { host: 'control.internal', port: 8090 }],
    ],
    bad: ['8090', ':8090', '127.0.0.1', '127.0.0.1:65536', '::1:8090', 'http://127.0.0.1:8090', 'a b:1'],
  },
  {
    kind: 'servers',
    variable: 'EBBGATE_ZOOKEEPER',
    name: 'zookeeper',
    good: [['10.0.0.1:2181,10.0.0.2:2181', '10.0.0.1:2181,10.0.0.2:2181']],
    bad: ['10.0.0.1', '10.0.0.1:2181,', '10.0.0.1:2181/root', 'host:0', 'host:65536'],
  },
  {
    kind: 'znode path',
    variable: 'EBBGATE_ROOT',
    name: 'root',
    good: [['/a/b-c_d.e', '/a/b-c_d.e']],
    bad: ['/', 'ebbgate', '/ebbgate/', '/a//b', '/a b'],
  },
  {
    kind: 'znode paths',
    variable: 'EBBGATE_REGISTRY_ROOTS',
    name: 'registryRoots',
    good: [
      ['/services, /legacy', ['/services', '/legacy'].map((path) => ({ path, format: 'json' }))],
      ['/services:json,/legacy', ['/services', '/legacy'].map((path) => ({ path, format: 'json' }))],
    ],
    bad: [
      '/services,',
      'services',
      'services:json',
      '/services:',
      '/services:json:json',
      '/services:toString',
    ],
  },
  {
    kind: 'networks',
    variable: 'EBBGATE_ALLOWED_NETWORKS',
    name: 'allowedNetworks',
    good: [
      ['10.0.0.0/8, fd00::/8', ['10.0.0.0/8', 'fd00::/8']],
      ['10.0.0.0/8,', ['10.0.0.0/8']],
    ],
    bad: ['10.0.0.0', 'example.com/8', '10.0.0.0/8 fd00::/8', '10.0.0.0/99', '10.0.0/8', 'fd00::/129'],
  },
  {
    kind: 'word of a few',
    variable: 'EBBGATE_LOG_LEVEL',
    name: 'logLevel',
    good: [['debug', 'debug']],
    bad: ['DEBUG', 'trace'],
  },
  {
    kind: 'name',
    variable: 'EBBGATE_CONTROLLER_ID',
    name: 'controllerId',
    good: [['controller-2', 'controller-2']],
    bad: ['a/b', 'a b'],
  },
])('$kind', ({ variable, name, good, bad }) => {
  it.each(good)('takes %s', (given, value) => {
    expect(parsed({ [variable]: given })[name]).toEqual(value);
  });
  it.each(bad)('refuses %s and says what would pass', (given) => {
    const [line = '', ...others] = errors({ [variable]: given });
    expect(others).toEqual([]);
    expect(line.startsWith(`${variable}: `)).toBe(true);
    expect(line).toContain('must');
    expect(line).toContain(given.trim());
  });
});

describe('what may contain a secret is named and not repeated', () => {
  it.each([
    ['EBBGATE_REDIS', 'foo', /must look like redis:\/\//],
    ['EBBGATE_REDIS', 'redis://:hunter2@host:0', /port must be a whole number from 1 to 65535/],
    ['EBBGATE_REDIS', 'redis://user@host', /a user but no password/],
    ['EBBGATE_REDIS', 'rediss://:hunter2@10.0.0.5', /needs server_name/],
    ['EBBGATE_TOKEN', 'hunter2 b', /must be visible ASCII characters without spaces/],
    ['EBBGATE_TOKEN', 'hunter2\n', /must be visible ASCII/],
  ])('%s=%j', (variable, given, message) => {
    const [line = '', ...others] = errors({ [variable]: given });
    expect(others).toEqual([]);
    expect(line).toMatch(new RegExp(`^${variable}: .*${message.source}`));
    expect(line).not.toContain('hunter2');
  });
});

it('checks the directory of commands when it is read, beside all else that is wrong', () => {
  const hooks = (place: string): readonly string[] => errors({ EBBGATE_HOOK_COMMANDS: place });
  expect(parsed({ EBBGATE_HOOK_COMMANDS: '/usr' }).hookCommands).toBe('/usr');
  expect(hooks('relative/place')).toEqual([expect.stringContaining('must be an absolute path')]);
  expect(hooks('/etc/passwd')).toEqual([expect.stringContaining('must be a directory, and is a file')]);
  expect(hooks('/no/such/place')).toEqual([expect.stringContaining('ENOENT')]);
  expect(errors({ EBBGATE_HOOK_COMMANDS: '/no/such/place', EBBGATE_LOG_LEVEL: 'loud' })).toHaveLength(2);
});
