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

/** One request as bytes: its request line and its header lines, with a body of the length that they say. */
async function ask(line: string, ...headers: readonly string[]): Promise<Answer> {
  const client = await openRawClient(bench.place.port);
  const host = headers.some((one) => /^host:/i.test(one)) ? [] : ['Host: h.test'];
  const length = Number(/^Content-Length: (\d+)$/m.exec(headers.join('\n'))?.[1] ?? 0);
  const body = headers.includes('Transfer-Encoding: chunked') ? '0\r\n\r\n' : 'x'.repeat(length);
  client.send(
    `${[`${line} HTTP/1.1`, ...host, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`,
  );
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

describe('what a route does', () => {
  const at = (path: string, more: Partial<Route>): Route => ({
    ...{ host: '*', path, service: 'web', name: path.slice(1) },
    ...more,
  });
  beforeAll(() =>
    routes([
      { host: '*', path: '/', service: 'web' },
      at('/denied', { deny: ['10.1.0.0/16'] }),
      at('/office', { allow: ['10.1.0.0/16'] }),
      at('/down', { maintenance: { body: 'Back at 5.\n', retry_after_s: 120 } }),
      at('/closed', { maintenance: { status: 410, retry_after_s: 0 } }),
      at('/secure', { redirect: { scheme: 'https' } }),
      at('/old', { redirect: { prefix: '/new', status: 301 } }),
      at('/api', { rewrite_prefix: '/' }),
      at('/v1', {
        request_headers: {
          set: [{ name: 'x-env', value: 'prod' }],
          add: [{ name: 'x-list', value: 'gateway' }],
          remove: ['x-debug'],
        },
        response_headers: {
          set: [{ name: 'cache-control', value: 'no-store' }],
          add: [{ name: 'x-service', value: 'gateway' }],
          remove: ['keep-alive'],
        },
      }),
      at('/cors', {
        cors: {
          origins: ['https://a.test'],
          methods: ['GET', 'PUT'],
          headers: ['x-a'],
          expose: ['x-b'],
          credentials: true,
        },
      }),
      at('/nobody', { service: 'nobody', cors: { origins: ['*'] } }),
      at('/upload', { max_body_bytes: 4 }),
      at('/retried', {
        service: 'retried',
        rewrite_prefix: '/r',
        request_headers: { set: [{ name: 'x-env', value: 'a' }] },
      }),
    ]),
  );
  const header = ({ head }: Answer, name: string): string | undefined =>
    new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim();

  test('clients that are denied, or not allowed, are refused', async () => {
    const from = (client: string): string => `X-Forwarded-For: ${client}`;
    const [denied, others, inside, outside] = await Promise.all([
      ask('GET /denied', from('10.1.2.3')),
      ask('GET /denied', from('10.2.0.1')),
      ask('GET /office', from('10.1.2.3')),
      ask('GET /office', from('10.1.2.3, 192.0.2.1')),
    ]);
    expect([denied, others, inside, outside].map(({ status }) => status)).toEqual([403, 200, 200, 403]);
    expect(JSON.parse(/\{.*\}/s.exec(denied.body)?.[0] ?? '{}')).toMatchObject({
      status: 403,
      code: 'denied',
    });
  });

  test('maintenance is answered by the gateway', async () => {
    const down = await ask('POST /down/x', 'Content-Length: 0');
    expect([down.status, down.body, header(down, 'retry-after'), header(down, 'content-type')]).toEqual([
      ...[503, 'Back at 5.\n', '120', 'text/plain; charset=utf-8'],
    ]);
    const closed = await ask('GET /closed');
    expect([closed.status, header(closed, 'retry-after')]).toEqual([410, undefined]);
    expect(closed.body).toContain('"code":"maintenance"');
    expect((await ask('HEAD /down')).body).toBe('');
  });

  test.each([
    ['GET /secure/a%2Fb?x=1&y=%20', 308, 'https://h.test/secure/a%2Fb?x=1&y=%20'],
    ['PUT /secure', 308, 'https://h.test/secure'],
    ['GET //secure', 308, 'https://h.test//secure'],
    ['GET http://h.test/secure?q', 308, 'https://h.test/secure?q'],
    ['GET /old/a?b=c', 301, 'http://h.test/new/a?b=c'],
    ['GET /old//evil.test/%0d%0ax:y', 301, 'http://h.test/new/evil.test/%0D%0Ax:y'],
    ['GET /old/..%2f..%2fold', 400, undefined],
  ])('%s is redirected: %i %s', async (line, status, location) => {
    const answer = await ask(line);
    expect([answer.status, header(answer, 'location'), answer.service]).toEqual([status, location, '']);
  });

  test('who is there already goes on to the service', async () => {
    expect((await ask('GET /secure', 'X-Forwarded-Proto: https')).service).toBe('web');
  });

  test.each([
    ['/api/x/y?q=%2F', '/x/y?q=%2F'],
    ['/api', '/'],
    ['/api/', '/'],
    ['/api//x', '/x'],
    ['/api/a%20b%25%3F%23', '/a%20b%25%3F%23'],
    ['/api/a%0d%0aX-Evil:%20y', '/a%0D%0AX-Evil:%20y'],
    ['/%61pi/x', '/x'],
    ['/other', '/other'],
  ])('%s comes to the service as %s', async (target, url) => {
    const answer = await ask(`GET ${target}`);
    expect([answer.service, seenBy(answer).url]).toEqual(['web', url]);
  });

  test('heads are changed on both ways, and nothing of a value becomes another header', async () => {
    const answer = await ask('GET /v1', 'X-Env: test', 'X-List: a', 'X-Debug: 1', 'X-Other: b');
    expect(seenBy(answer).headers).toMatchObject({ 'x-env': 'prod', 'x-list': 'a, gateway', 'x-other': 'b' });
    expect(Object.keys(seenBy(answer).headers)).not.toContain('x-debug');
    expect(header(answer, 'cache-control')).toBe('no-store');
    expect(answer.head.match(/^x-service: .*$/gim)?.map((one) => one.trim())).toEqual([
      'X-Service: web',
      'x-service: gateway',
    ]);
    expect(header(await ask('GET /'), 'cache-control')).toBeUndefined();
  });

  test('preflights are answered by the gateway, and answers say who may read them', async () => {
    const asking = ['Origin: https://a.test', 'Access-Control-Request-Method: PUT'];
    const preflight = await ask('OPTIONS /cors/x', ...asking);
    expect([preflight.status, preflight.service]).toEqual([204, '']);
    expect(
      ['allow-origin', 'allow-methods', 'allow-headers', 'allow-credentials', 'max-age'].map((name) =>
        header(preflight, `access-control-${name}`),
      ),
    ).toEqual(['https://a.test', 'GET, PUT', 'x-a', 'true', '600']);
    const stranger = await ask(
      'OPTIONS /cors',
      'Origin: https://evil.test',
      'Access-Control-Request-Method: PUT',
    );
    expect([stranger.status, /access-control/i.test(stranger.head)]).toEqual([204, false]);
    const read = await ask('GET /cors', 'Origin: https://a.test');
    expect([read.service, header(read, 'access-control-allow-origin'), header(read, 'vary')]).toEqual([
      ...['web', 'https://a.test', 'Origin'],
    ]);
    expect(header(read, 'access-control-expose-headers')).toBe('x-b');
    expect((await ask('GET /cors', 'Origin: null')).head).not.toMatch(/access-control/i);
    // A plain OPTIONS is the service's.
    expect((await ask('OPTIONS /cors', 'Origin: https://a.test')).service).toBe('web');
  });

  test("the gateway's own errors may be read by those pages too", async () => {
    await stubs.get('nobody')?.stop();
    const answer = await ask('GET /nobody', 'Origin: https://a.test');
    expect([answer.status, header(answer, 'access-control-allow-origin')]).toEqual([502, '*']);
  });

  test('a body is bounded by its length, which must be known', async () => {
    const send = (...lines: string[]): Promise<Answer> => ask('POST /upload', ...lines);
    const chunked = await send('Transfer-Encoding: chunked');
    expect([(await send('Content-Length: 5')).status, chunked.status]).toEqual([413, 411]);
    expect((await send('Content-Length: 0')).status).toBe(200);
    expect((await ask('GET /upload')).status).toBe(200);
  });

  test('it is done once, also where another location of nginx is taken', async () => {
    const stub = stubs.get('retried');
    if (!stub) throw new Error('no stub');
    await bench.acked(
      await bench.publishing.set('retried', [peer(stub)], { retry: { tries: 2, on: 'server_error' } }),
    );
    const answer = await ask('GET /retried/x', 'X-Env: b');
    expect([seenBy(answer).url, seenBy(answer).headers['x-env']]).toEqual(['/r/x', 'a']);
  });

  test("its time-outs and tries are in place of the service's", async () => {
    const [slow, broken] = await Promise.all([
      startStub((response) => setTimeout(() => response.end('late'), 400)),
      startStub((response) => response.destroy()),
    ]);
    stubs.set('slow', slow).set('broken', broken);
    await bench.publishing.set('slow', [peer(slow)]);
    const twice = { ...peer(broken), id: 'second' };
    await bench.publishing.set('broken', [peer(broken), twice], { retry: { tries: 2, budget_percent: 100 } });
    await bench.acked(
      await bench.publishing.routes([
        { host: '*', path: '/', service: 'slow' },
        { host: '*', path: '/fast', service: 'slow', name: 'fast', timeouts: { read_ms: 50 } },
        { host: '*', path: '/total', service: 'slow', name: 'total', timeouts: { total_ms: 60 } },
        { host: '*', path: '/broken', service: 'broken' },
        { host: '*', path: '/once', service: 'broken', name: 'once', tries: 1 },
      ]),
    );
    const answers = await Promise.all(['/', '/fast', '/total'].map((path) => ask(`GET ${path}`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 504, 504]);
    await ask('GET /broken');
    expect(broken.seen.length).toBe(2);
    await ask('GET /once');
    expect(broken.seen.length).toBe(3);
  });

  test('limits may be of one route alone, or count by route', async () => {
    const stub = await startStub((response) => response.end());
    stubs.set('limited', stub);
    await bench.publishing.set('limited', [peer(stub)], {
      limits: [
        { name: 'writes', rate: '1/h', burst: 2, routes: ['writes'] },
        { name: 'each', rate: '1/h', burst: 4, key: ['route'] },
      ],
    });
    await bench.acked(
      await bench.publishing.routes([
        { host: '*', path: '/', service: 'limited' },
        { host: '*', path: '/', service: 'limited', name: 'writes', methods: ['POST'] },
        { host: '*', path: '/other', service: 'limited', name: 'other' },
      ]),
    );
    const statuses = async (line: string): Promise<readonly number[]> => {
      const answers: number[] = [];
      for (let i = 0; i < 5; i += 1) answers.push((await ask(line, 'Content-Length: 0')).status);
      return answers;
    };
    expect(await statuses('POST /')).toEqual([200, 200, 429, 429, 429]);
    expect(await statuses('GET /')).toEqual([200, 200, 200, 200, 429]);
    expect(await statuses('GET /other')).toEqual([200, 200, 200, 200, 429]);
  });
});
