import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reservePort } from '../control-plane/src/testkit.js';
import { Edge, type Outcome } from './harness/edge.js';
import { peer } from './harness/publish.js';
import { answering, openRawClient, startRawInstance, whole, type Talk } from './harness/raw.js';
import { until, untilValue } from './harness/until.js';
import { hostOf } from './harness/workbench.js';

let edge: Edge;
let http2Port: number;
beforeAll(async () => {
  http2Port = await reservePort();
  edge = await Edge.start(({ port }) => ({
    listen: [`127.0.0.1:${port}`, `127.0.0.1:${http2Port},http2`],
    trusted_proxies: ['127.0.0.1/32'],
    log_fields: ['user_agent=http_user_agent', 'referer=http_referer', 'cookie=cookie_c', 'query=arg_q'],
  }));
});
afterAll(async () => {
  await edge[Symbol.asyncDispose]();
});

/** A GET with these lines in its head. */
function get(...lines: readonly string[]): string {
  return ['GET /x HTTP/1.1', 'Host: HOST', ...lines, 'Connection: close', '', ''].join('\r\n');
}
/** The head that an instance got, as name → value; a name in lower case. */
function got({ instances }: Outcome, index = 0): Readonly<Record<string, string>> {
  const [head = ''] = (instances[index]?.lines[0]?.text ?? '').split('\r\n\r\n');
  const lines = head.split('\r\n').slice(1);
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...rest] = line.split(':');
      return [name.toLowerCase(), rest.join(':').trim()];
    }),
  );
}
const asked = (...lines: readonly string[]): Promise<Outcome> =>
  edge.run({ instances: [answering(whole())], client: get(...lines) });
const served = (outcome: Outcome): readonly number[] => outcome.instances.map(({ lines }) => lines.length);

describe('a request ends hop by hop headers', () => {
  test('that any of its Connection lines names', async () => {
    const outcome = await asked(
      'X-A: 1',
      'Connection: keep-alive',
      'Connection: X-A',
      'X-B: 2',
      'Connection: x-b',
    );
    expect(outcome.statuses).toEqual([200]);
    expect(got(outcome)).not.toHaveProperty('x-a');
    expect(got(outcome)).not.toHaveProperty('x-b');
  });

  test('but for those that the gateway itself sets or rests on', async () => {
    const names = [
      'Host',
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Request-Id',
      'X-Real-IP',
      'Authorization',
      'Cookie',
    ];
    const outcome = await asked(
      ...[
        'Authorization: a',
        'Cookie: b',
        'X-Forwarded-For: 10.9.8.7',
        'X-Forwarded-Proto: https',
        'TE: trailers',
      ],
      `Connection: ${names.join(', ')}, TE, Content-Length`,
    );
    expect(got(outcome)).toMatchObject({
      ...{
        authorization: 'a',
        cookie: 'b',
        'x-forwarded-for': '10.9.8.7, 127.0.0.1',
        'x-forwarded-proto': 'https',
      },
      'x-request-id': expect.stringMatching(/^[0-9a-f]{32}$/),
      'x-real-ip': '10.9.8.7',
    });
    expect(got(outcome)).not.toHaveProperty('te');
  });

  test('with thousands of them in time that their bytes take', async () => {
    const tokens = (from: number): string =>
      Array.from({ length: 2_600 }, (_, n) => `x${n + from}`).join(',');
    const lines = [0, 1, 2].map((part) => `Connection: ${tokens(part * 2_600)}`);
    // The best of some: a busy machine makes single ones slow.
    let least = Infinity;
    for (let round = 0; round < 10; round += 1) {
      const before = cpu();
      const outcome = await asked('X7799: gone', 'X9999: stays', ...lines);
      expect(outcome.statuses).toEqual([200]);
      expect(got(outcome)).not.toHaveProperty('x7799');
      expect(got(outcome)).toHaveProperty('x9999');
      least = Math.min(least, cpu() - before);
    }
    // 17.7 ms for each of them it was; the rest of the gateway's work is in it.
    expect(least).toBeLessThan(8);
  });

  test('and is refused if there are more than a hundred', async () => {
    const names = Array.from({ length: 101 }, (_, n) => `x${n}`);
    const outcome = await asked(...names.map((name) => `${name}: 1`), `Connection: ${names.join(',')}`);
    expect(outcome.statuses).toEqual([400]);
    expect(outcome.text).toContain('"code":"bad_request"');
    expect(served(outcome)).toEqual([0]);
  });
});

/** Milliseconds of CPU that the workers have used. */
function cpu(): number {
  const used = edge.bench.gateway
    .workers()
    .map((pid) => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]));
  return used.reduce((sum, one) => sum + one, 0) / 1e6;
}

describe('an answer', () => {
  const hops = whole('good', '200 OK', [
    ...[
      'Upgrade: h2,h2c',
      'Connection: Upgrade, X-Hop',
      'X-Hop: 1',
      'Keep-Alive: timeout=5',
      'HTTP2-Settings: AAA',
    ],
    ...[
      'Proxy-Authenticate: Basic',
      'Proxy-Authentication-Info: a',
      'Proxy-Connection: close',
      'TE: trailers',
      'Trailer: X-T',
    ],
    'X-Stays: 1',
  ]);

  test('has no hop by hop headers for a client of HTTP/1.1', async () => {
    const { text } = await edge.run({ instances: [answering(hops)], client: get() });
    expect(text).toMatch(/^HTTP\/1.1 200/);
    expect(text).toMatch(/^X-Stays: 1/m);
    expect(text).not.toMatch(/^(upgrade|x-hop|keep-alive|http2-settings|proxy-[a-z-]+|te|trailer):/im);
  });

  test('nor for one of HTTP/2, who would break off', async () => {
    await using instance = await startRawInstance(answering(hops));
    await edge.bench.serve('two', [peer(instance)]);
    const session = connect(`http://127.0.0.1:${http2Port}`);
    const stream = session.request({ ':path': '/', ':authority': hostOf('two') });
    const headers = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
      session.once('error', reject);
    });
    session.destroy();
    expect(headers).toMatchObject({ ':status': 200, 'x-stays': '1' });
    const names = Object.keys(headers).filter((name) =>
      /^(upgrade|connection|x-hop|keep-alive|http2-settings|proxy-|te$|trailer)/.test(name),
    );
    expect(names).toEqual([]);
  });

  test('that takes the connection over says so', async () => {
    const switching: Talk = async (line) => {
      await line.request();
      line.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
    };
    const outcome = await edge.run({
      instances: [switching],
      client: async (line) => {
        line.send('GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
        await line.has(/hello/);
        line.close();
      },
    });
    expect(outcome.text).toMatch(/^HTTP\/1.1 101 .*/);
    expect(outcome.text).toMatch(/^upgrade: websocket\r$/im);
    expect(outcome.text).toMatch(/^connection: upgrade\r$/im);
  });
});

describe('a method', () => {
  const breaking: Talk = async (line) => {
    await line.head();
    line.cut();
  };
  const say = (method: string, body = ''): string =>
    `${method} / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  // One of them is the first that is asked; it breaks if it is the breaking one.
  const twice = async (
    request: string,
    set = {},
  ): Promise<{ readonly seen: number; readonly status: number }> => {
    const outcome = await edge.run({ instances: [breaking, breaking], client: request, set });
    return { seen: served(outcome).reduce((a, b) => a + b), status: outcome.statuses[0] ?? 0 };
  };

  test.concurrent.each([
    'GET',
    'HEAD',
    'OPTIONS',
    'PUT',
    'DELETE',
    'PROPFIND',
    'PROPPATCH',
    'MKCOL',
    'COPY',
    'MOVE',
    'UNLOCK',
  ])('that is idempotent is repeated: %s', async (method) => {
    expect(await twice(say(method))).toEqual({ seen: 2, status: 502 });
  });

  test.concurrent.each(['POST', 'PATCH', 'LOCK', 'CHARGE', 'SEARCH', 'QUERY', 'GETX', 'M-POST'])(
    'that is not known to be is not, once it was sent: %s',
    async (method) => {
      expect(await twice(say(method, 'money'))).toEqual({ seen: 1, status: 502 });
    },
  );

  test.concurrent('of lower case is none', async () => {
    expect(await twice(say('get'))).toEqual({ seen: 0, status: 400 });
  });

  test.concurrent('that nobody knows is repeated where the service wants all to be', async () => {
    const set = { retry: { tries: 2, budget_percent: 100, non_idempotent: true } };
    expect(await twice(say('CHARGE', 'money'), set)).toEqual({ seen: 2, status: 502 });
  });

  test.concurrent('that nobody knows gets the answer of the instance, where others are asked elsewhere', async () => {
    const failing = answering(whole('mine', '503 Mine'));
    const set = { retry: { tries: 2, budget_percent: 100, on: 'server_error' as const } };
    const charged = await edge.run({ instances: [failing, failing], client: say('CHARGE', 'money'), set });
    expect(charged.text).toMatch(/^HTTP\/1.1 503[^]*mine$/);
    expect(served(charged).reduce((a, b) => a + b)).toBe(1);
    const read = await edge.run({ instances: [failing, failing], client: say('GET'), set });
    expect(served(read).reduce((a, b) => a + b)).toBe(2);
  });

  test.concurrent('that was not sent yet is sent to another instance', async () => {
    const gone = await startRawInstance(answering(whole()));
    await using there = await startRawInstance(answering(whole()));
    await gone.stop();
    await edge.bench.serve('refused', [peer(gone), peer(there)], {
      retry: { tries: 2, budget_percent: 100 },
    });
    for (let round = 0; round < 4; round += 1) {
      const line = await openRawClient(edge.bench.place.port);
      line.send(say('CHARGE', 'money').replace('HOST', hostOf('refused')));
      await line.has(/^HTTP\/1.1 200/);
      line.close();
    }
  });
});

describe('what a trusted proxy says', () => {
  const PROTO = 'X-Forwarded-Proto';
  test.concurrent.each<[readonly string[], Readonly<Record<string, string | undefined>>]>([
    [[], { 'x-forwarded-proto': 'http', 'x-forwarded-port': String }] as never,
    [[`${PROTO}: https`], { 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' }],
    [[`${PROTO}: HTTPS`], { 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' }],
    [[`${PROTO}: wss`], { 'x-forwarded-proto': 'wss', 'x-forwarded-port': '443' }],
    [[`${PROTO}: ws`], { 'x-forwarded-proto': 'ws', 'x-forwarded-port': '80' }],
    [[`${PROTO}: https, http`], { 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' }],
    [[`${PROTO}: http,https`], { 'x-forwarded-proto': 'http', 'x-forwarded-port': '80' }],
    [[`${PROTO}: , wss ,http`], { 'x-forwarded-proto': 'wss' }],
    [[`${PROTO}: https`, `${PROTO}: http`], { 'x-forwarded-proto': 'https' }],
    [[`${PROTO}: gopher`], { 'x-forwarded-proto': 'http' }],
    [['X-Forwarded-Host: a.example, b.example'], { 'x-forwarded-host': 'a.example' }],
    [
      ['X-Forwarded-Host: a.example:8443 , b'],
      { 'x-forwarded-host': 'a.example:8443', 'x-forwarded-port': '8443' },
    ],
    [
      ['X-Forwarded-Host: [2001:db8::1]:81'],
      { 'x-forwarded-host': '[2001:db8::1]:81', 'x-forwarded-port': '81' },
    ],
    [[`${PROTO}: https`, 'X-Forwarded-Host: a.example:8443'], { 'x-forwarded-port': '8443' }],
    [['X-Forwarded-Port: 443, 8080', `${PROTO}: http`], { 'x-forwarded-port': '443' }],
    [['X-Forwarded-Prefix: /a'], { 'x-forwarded-prefix': '/a' }],
    [['X-Forwarded-Prefix: /a, /b'], { 'x-forwarded-prefix': '/a, /b' }],
    [['X-Forwarded-Prefix: /a, evil"'], { 'x-forwarded-prefix': undefined }],
    [['Forwarded: for=10.1.1.1;proto=https'], { forwarded: undefined, 'x-forwarded-proto': 'http' }],
  ])('%j', async (lines, expected) => {
    const head = got(await asked(...lines));
    for (const [name, value] of Object.entries(expected)) {
      const wanted = typeof value === 'function' ? String(edge.bench.place.port) : value;
      expect([name, head[name]]).toEqual([name, wanted]);
    }
  });
});

describe('the host that the instance sees', () => {
  const target = (text: string, host: string): string =>
    `GET ${text} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  test.concurrent.each([
    ['of the Host header', target('/x', 'HOST'), 'HOST'],
    ['with its port', target('/x', 'HOST:81'), 'HOST:81'],
    ['of a target in absolute form', target('http://HOST/x', 'other.test'), 'HOST'],
    ['and the port of that', target('http://HOST:81/x', 'other.test:82'), 'HOST:81'],
    ['which has none, if it says none', target('http://HOST/x', 'HOST:82'), 'HOST'],
    ['also where the names are the same', target('http://HOST:81/x', 'HOST:82'), 'HOST:81'],
    ['whatever its path says', target('/http://other.test:83/x', 'HOST'), 'HOST'],
    ['and its query', target('http://HOST?u=http://a:83', 'HOST:82'), 'HOST'],
    ['without a port that is empty', target('/x', 'HOST:'), 'HOST'],
  ])('is that %s', async (_what, client, expected) => {
    const outcome = await edge.run({ instances: [answering(whole())], client });
    expect(outcome.statuses).toEqual([200]);
    expect(got(outcome).host).toBe(expected.replace('HOST', hostOf(outcome.service)));
    expect(got(outcome)['x-forwarded-host']).toBe(got(outcome).host);
  });
});

describe('the access log', () => {
  test('is JSON in UTF-8 whatever is sent', async () => {
    const odd = [
      '\xff',
      '\xc3',
      '\xc0\xaf',
      '\xed\xa0\x80',
      '\xf4\x90\x80\x80',
      'gr\xc3\xbcn',
      '\x7f',
      '\\',
      '"',
      '\xf0\x9f\x98',
    ];
    const encoded = (text: string): string =>
      Array.from(text, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
    for (const text of odd) {
      await asked(`User-Agent: a${text}z`, `Referer: ${text}`, `Cookie: c=${text}`);
      await edge.run({
        instances: [answering(whole())],
        client: `GET /${encoded(text)}?q=${text.replace(/["\\]/, '')} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n`,
      });
      const line = await openRawClient(edge.bench.place.port);
      line.send(
        `GET / HTTP/1.1\r\nHost: none${text}.test\r\nUser-Agent: ${text}\r\nConnection: close\r\n\r\n`,
      );
      await line.closed();
    }
    const long = await asked(`User-Agent: ${'\xff'.repeat(8_000)}`);
    const nobody = await openRawClient(edge.bench.place.port);
    nobody.send('GET /\xff HTTP/1.1\r\n\xff\r\n\r\n');
    await nobody.closed();
    const [last] = await edge.settled(long);
    expect(last).toMatchObject({ user_agent: '%FF'.repeat(8_000) });
    const read = (): readonly Readonly<Record<string, unknown>>[] => {
      const bytes = readFileSync(edge.bench.gateway.accessLog);
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    };
    const paths = ['/%FF', '/%C3', '/%C0%AF', '/grün', '/%ED%A0%80', '/%F0%9F%98', '/"', '/\\'];
    const missing = (): readonly string[] => {
      const there = read().map(({ path }) => path);
      return paths.filter((path) => !there.includes(path));
    };
    await untilValue('no path is missing', missing, (left) => left.length === 0);
    const lines = read();
    expect(lines.map(({ user_agent: agent }) => agent)).toEqual(
      expect.arrayContaining(['a%FFz', 'agrünz', 'a\\z']),
    );
    expect(lines.map(({ referer }) => referer)).toEqual(expect.arrayContaining(['%C0%AF', '%F4%90%80%80']));
    expect(lines.map(({ cookie }) => cookie)).toContain('%FF');
    expect(lines.map(({ query }) => query)).toContain('%FF');
    expect(lines.map(({ host }) => host)).toEqual(expect.arrayContaining(['none%FF.test', 'nonegrün.test']));
  });

  test.concurrent.each([
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '0af7651916cd43dd8448eb211c80319c'],
    ['01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more', '0af7651916cd43dd8448eb211c80319c'],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more', ''],
    ['00-00000000000000000000000000000000-b7ad6b7169203331-01', ''],
    ['00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01', ''],
    ['ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', ''],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz', ''],
    ['00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01', ''],
  ])('reads %s as the trace "%s"', async (traceparent, expected) => {
    const outcome = await asked(`traceparent: ${traceparent}`);
    expect(got(outcome).traceparent).toBe(traceparent);
    expect(await edge.settled(outcome)).toMatchObject([{ trace_id: expected }]);
  });
});

describe('a name of a header that is not plain', () => {
  const dropped = async (reason: string): Promise<number> => {
    const { text } = await edge.bench.admin('/metrics');
    return Number(
      new RegExp(`^ebbgate_request_headers_dropped_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(
        text,
      )?.[1] ?? 0,
    );
  };

  test('is not passed on, is counted, and is reported once', async () => {
    const before = await dropped('name');
    const outcome = await asked('X_Tenant: 1', 'X.Dot: 2', 'X-Plain: 3');
    expect(got(outcome)).toMatchObject({ 'x-plain': '3' });
    expect(Object.keys(got(outcome)).filter((name) => /[^a-z0-9-]/.test(name))).toEqual([]);
    expect(await dropped('name')).toBe(before + 2);
    await until('it is reported', () =>
      readFileSync(edge.bench.gateway.errorLog, 'utf8').includes('a header named x_tenant was not passed on'),
    );
  });

  test.concurrent.each(['X\xffY', 'X(Y)', 'X Y', '\xff', '"', 'X\tY'])(
    'is refused if HTTP has none such: %j',
    async (name) => {
      const outcome = await asked(`${name}: 1`);
      expect(outcome.statuses).toEqual([400]);
      expect(served(outcome)).toEqual([0]);
    },
  );

  test('goes on if an option lets it, unless it looks like a guarded one', async () => {
    await using open = await Edge.start({ header_names: 'any', trusted_proxies: ['127.0.0.1/32'] });
    const outcome = await open.run({
      instances: [answering(whole())],
      client: get(
        'X_Tenant: 1',
        'X.Dot: 2',
        'X_Forwarded_For: 10.1.1.1',
        'X_Forwarded-Proto: https',
        'Content_Length: 5',
      ),
    });
    expect(got(outcome)).toMatchObject({
      x_tenant: '1',
      'x.dot': '2',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
    expect(
      Object.keys(got(outcome))
        .filter((name) => /[^a-z0-9-]/.test(name))
        .sort(),
    ).toEqual(['x.dot', 'x_tenant']);
    const { text } = await open.bench.admin('/metrics');
    expect(text).toContain('ebbgate_request_headers_dropped_total{reason="lookalike"} 3');
  });
});
