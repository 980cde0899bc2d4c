import { expect, test } from 'vitest';
import { parseRegisterFlags, type RegisterFlags } from './register_options.js';

const GOOD: RegisterFlags = {
  service: 'shop',
  host: '10.0.0.7',
  port: '8080',
  zookeeper: '127.0.0.1:2181',
};

test('the least that works, with the defaults', () => {
  expect(parseRegisterFlags(GOOD)).toEqual({
    ok: true,
    value: {
      service: 'shop',
      data: { id: '10.0.0.7:8080', host: '10.0.0.7', port: 8080 },
      readyUrl: undefined,
      readyEveryMs: 1_000,
      drainTimeoutMs: 30_000,
      stopTimeoutMs: 10_000,
      sessionMs: 10_000,
      zookeeper: '127.0.0.1:2181',
      access: { auth: '', tls: null },
      registrationAcl: [{ scheme: 'world', id: 'anyone', permissions: 1 }],
      registryRoot: '/services',
      requireAccepted: false,
      api: ['http://127.0.0.1:8090'],
      apiFiles: null,
    },
  });
});

test('every flag, IPv6 in brackets', () => {
  const parsed = parseRegisterFlags({
    ...GOOD,
    ...{
      host: 'fd00::7',
      version: 'v2',
      weight: '0',
      id: 'a-1',
      zone: 'z1',
      backup: true,
      label: ['team=checkout', 'x='],
    },
    ...{ readyHttp: '/healthz?x=1', readyInterval: '250ms', drainTimeout: '2m', stopTimeout: '0s' },
    ...{ session: '4s', registryRoot: '/a/b', api: 'https://ebbgate.example/, http://10.0.0.6:8090' },
  });
  expect(parsed).toMatchObject({
    ok: true,
    value: {
      data: {
        id: 'a-1',
        version: 'v2',
        weight: 0,
        zone: 'z1',
        backup: true,
        labels: { team: 'checkout', x: '' },
      },
      readyUrl: 'http://[fd00::7]:8080/healthz?x=1',
      readyEveryMs: 250,
      drainTimeoutMs: 120_000,
      stopTimeoutMs: 0,
      sessionMs: 4_000,
      api: ['https://ebbgate.example', 'http://10.0.0.6:8090'],
      apiFiles: null,
    },
  });
});

test.each<[string, RegisterFlags]>([
  ['--service', { service: 'Shop' }],
  ['--host', { host: 'example.org' }],
  ['--host', { host: '10.1' }],
  ['--port', { port: '0' }],
  ['--port', { port: '80a' }],
  ['--version', { version: 'v 1' }],
  ['--weight', { weight: '10001' }],
  ['--weight', { weight: '-1' }],
  ['--id', { id: 'a|b' }],
  ['--zone', { zone: '/' }],
  ['--label', { label: ['novalue'] }],
  ['--ready-http', { readyHttp: 'healthz' }],
  ['--ready-interval', { readyInterval: '1ms' }],
  ['--drain-timeout', { drainTimeout: 'soon' }],
  ['--stop-timeout', { stopTimeout: '10' }],
  ['--session', { session: '1h' }],
  ['--zookeeper', { zookeeper: 'localhost' }],
  ['--registry-root', { registryRoot: 'services' }],
  ['--api', { api: '127.0.0.1:8090' }],
  ['--api', { api: 'http://10.0.0.5:8090,' }],
])('a bad %s is refused by its name: %j', (flag, change) => {
  const parsed = parseRegisterFlags({ ...GOOD, ...change });
  expect(parsed.ok ? [] : parsed.error).toEqual([expect.stringMatching(new RegExp(`^${flag} `))]);
});

test('all that is missing is named at once', () => {
  const parsed = parseRegisterFlags({});
  const flags = parsed.ok ? [] : parsed.error.map((sentence) => sentence.split(' ')[0]);
  expect(flags).toEqual(['--service', '--host', '--port', '--zookeeper']);
});

test('files of the access to ZooKeeper are checked, and what contradicts is named by its flags', () => {
  const { ok, ...rest } = parseRegisterFlags({
    ...GOOD,
    ...{ zookeeperAuthFile: '/nowhere/auth', registrationAcl: 'everybody', zookeeperTls: 'yes' },
  });
  expect(ok).toBe(false);
  expect(rest).toMatchObject({
    error: [
      '--zookeeper-auth-file /nowhere/auth cannot be read: ENOENT (got "/nowhere/auth")',
      '--zookeeper-tls must be one of off, on (got "yes")',
      expect.stringMatching(/^--registration-acl must be none, or entries/),
    ],
  });
  expect(parseRegisterFlags({ ...GOOD, zookeeperTls: 'on' })).toMatchObject({
    ok: true,
    value: { access: { auth: '', tls: { ca: '', cert: '', key: '' } } },
  });
  expect(parseRegisterFlags({ ...GOOD, registrationAcl: 'none' })).toMatchObject({
    value: { registrationAcl: [] },
  });
});
