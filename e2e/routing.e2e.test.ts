import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { matchRoute, routedPath, type Route } from '../control-plane/src/testkit.js';
import { peer } from './harness/publish.js';
import { openRawClient } from './harness/raw.js';
import { startStub, type Seen, type Stub } from './harness/stub.js';
import { Workbench } from './harness/workbench.js';

let bench: Workbench;
/** Service → its one instance. */
const stubs = new Map<string, Stub>();

beforeAll(async () => {
  bench = await Workbench.start({ trusted_proxies: ['127.0.0.1'] });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all([...stubs.values()].map((one) => one.stop()));
});

/** Publishes these routes, and a service with one instance for each name in them. */
async function routes(list: readonly Route[]): Promise<void> {
  for (const { service } of list) {
    if (stubs.has(service)) continue;
    const stub = await startStub((response, seen) => {
      response.setHeader('X-Service', service);
      response.end(JSON.stringify(seen));
    });
    stubs.set(service, stub);
    await bench.publishing.set(service, [peer(stub)]);
  }
  await bench.acked(await bench.publishing.routes(list));
}

interface Answer {
  readonly status: number;
  /** Who answered; empty = the gateway itself. */
  readonly service: string;
  readonly head: string;
  readonly body: string;
}

/** One request as bytes: its request line and its header lines. */
async function ask(line: string, ...headers: readonly string[]): Promise<Answer> {
  const client = await openRawClient(bench.place.port);
  const host = headers.some((one) => /^host:/i.test(one)) ? [] : ['Host: h.test'];
  client.send(`${[`${line} HTTP/1.1`, ...host, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  await client.closed();
  const [head = '', ...rest] = client.text.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
    service: /^X-Service: (.*)$/m.exec(head)?.[1]?.trim() ?? '',
    head,
    body: rest.join('\r\n\r\n'),
  };
}

const seenBy = ({ body }: Answer): Seen => JSON.parse(/\{.*\}/s.exec(body)?.[0] ?? '{}') as Seen;

const USUAL = { method: 'GET', host: 'h.test', query: '', headers: [], client: '127.0.0.1' };

describe('paths and hosts', () => {
  const table: readonly Route[] = [
    { host: '*', path: '/', service: 'web' },
    { host: '*', path: '/admin', service: 'admin' },
    { host: '*', path: '/admin/ping', service: 'ping', match: 'exact', name: 'ping' },
    { host: '*', path: '/', service: 'images', name: 'images', regex: '.*\\.(?:jpg|png)' },
    { host: 'api.example.com', path: '/', service: 'api' },
    { host: '*.example.com', path: '/', service: 'wild' },
  ];
  beforeAll(() => routes(table));

  test.each([
    ...['/', '/admin', '/admin/', '/admin/x', '/adminx', '/ADMIN', '/admin/ping', '/admin/ping/'],
    ...['//admin', '/.//admin', '/a/../admin', '/a/%2e%2e/admin', '/%2e/admin', '/%61dmin', '/admin%2Fx'],
    ...[
      '/a/..%2Fadmin',
      '/admin/ping?x=1',
      '/admin/ping%3Fx',
      '/admin;x',
      '/admin/%70ing',
      '/admin/./ping/.',
    ],
    ...[
      '/x.jpg',
      '/x%2Ejpg',
      '/x.jpg%0A',
      '/admin/x.png',
      '/x.jpg/..',
      '/a%00',
      '/%',
      '/../admin',
      '/..%2fadmin',
    ],
    ...['/%252e%252e/admin', '/a/b/../../admin', '/admin/..', '/admin/%2e%2e', '/\\admin', '/a//..//admin'],
  ])('GET %s goes where the control plane says', async (target) => {
    const path = routedPath(target);
    const wanted = path === null ? null : matchRoute(table, { ...USUAL, path });
    const { status, service } = await ask(`GET ${target}`);
    expect([status, service]).toEqual(path === null ? [400, ''] : [200, wanted?.service ?? '']);
  });

  test('the instance gets the path as it was sent', async () => {
    expect(seenBy(await ask('GET /a/..%2Fadmin/%61?b=%2F')).url).toBe('/a/..%2Fadmin/%61?b=%2F');
  });

  test.each([
    ['Host: api.example.com', 'api'],
    ['Host: API.Example.COM', 'api'],
    ['Host: api.example.com:8080', 'api'],
    ['Host: api.example.com.', 'api'],
    ['Host: x.api.example.com', 'wild'],
    ['Host: example.com', 'web'],
    ['Host: xexample.com', 'web'],
  ])('%s goes to %s', async (header, service) => {
    expect((await ask('GET /', header)).service).toBe(service);
  });

  test('a target in absolute form beats the Host header', async () => {
    expect((await ask('GET http://api.example.com/x', 'Host: h.test')).service).toBe('api');
    expect((await ask('GET http://h.test/admin', 'Host: api.example.com')).service).toBe('admin');
  });
});

describe('conditions', () => {
  beforeAll(() =>
    routes([
      { host: '*', path: '/', service: 'web' },
      { host: '*', path: '/', service: 'writes', name: 'writes', methods: ['POST', 'PUT'] },
      {
        host: '*',
        path: '/',
        service: 'staff',
        name: 'staff',
        priority: 1,
        headers: [{ name: 'x-role', exact: 'staff' }],
      },
      { host: '*', path: '/in', service: 'office', name: 'office', clients: ['10.1.0.0/16'] },
      { host: '*', path: '/q', service: 'query', name: 'query', query: [{ name: 'v', exact: 'a b' }] },
    ]),
  );

  test.each([
    ['GET /', [], 'web'],
    ['PUT /', [], 'writes'],
    ['DELETE /', [], 'web'],
    ['PUT /', ['X-Role: staff'], 'staff'],
    ['GET /', ['x-ROLE:   staff  '], 'staff'],
    ['GET /', ['X-Role: Staff'], 'web'],
    ['GET /', ['X-Role: staff', 'X-Role: guest'], 'web'],
    ['GET /', ['X-Role: guest', 'X-Role: staff'], 'web'],
    ['GET /', ['X_Role: staff'], 'web'],
    ['GET /', ['X-Role: staff', 'Connection: X-Role'], 'web'],
    ['GET /q?v=a+b', [], 'query'],
    ['GET /q?v=a%20b&v=c', [], 'query'],
    ['GET /q?v=c&v=a+b', [], 'web'],
    ['GET /q?%76=a+b', [], 'query'],
    ['GET /in', [], 'web'],
    ['GET /in', ['X-Forwarded-For: 10.1.2.3'], 'office'],
    ['GET /in', ['X-Forwarded-For: 10.1.2.3, 203.0.113.9'], 'web'],
    ['GET /in', ['X-Forwarded-For: 203.0.113.9, 10.1.2.3'], 'office'],
    ['GET /in', ['X-Real-IP: 10.1.2.3', 'Forwarded: for=10.1.2.3'], 'web'],
  ])('%s %j goes to %s', async (line, headers, service) => {
    expect((await ask(line, ...headers)).service).toBe(service);
  });
});

test('the worst that may be a pattern takes milliseconds, whatever is sent', async () => {
  const worst = ['/a*a*b(?:c|d)(?:c|d)(?:c|d)', '/.*a[^x]*x', '/(?:a|a)(?:a|a)(?:a|a)a*a*b'];
  await routes([
    { host: '*', path: '/', service: 'web' },
    ...worst.map((regex, index) => ({
      ...{
        host: '*',
        path: '/',
        service: 'writes',
        name: `worst-${String(index)}`,
        priority: index + 1,
        regex,
      },
    })),
  ]);
  await ask('GET /warm');
  const times: number[] = [];
  for (const path of [`/${'a'.repeat(1_000)}`, `/${'ab'.repeat(500)}`, `/${'a'.repeat(7_000)}`]) {
    const began = performance.now();
    expect((await ask(`GET ${path}`)).service).toBe('web');
    times.push(performance.now() - began);
  }
  // One that backtracks without a bound would take hours.
  expect(Math.max(...times)).toBeLessThan(500);
});
