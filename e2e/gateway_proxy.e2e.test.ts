import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { reservePort, type LocalGateway } from '../control-plane/src/testkit.js';
import { gatewayPlace, startGateway } from './harness/gateway.js';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

let bench: Workbench;
/** Believes 127.0.0.1, and speaks TLS on a second port. */
let trusting: LocalGateway;
let tlsPort = 0;
let one: Instance;

beforeAll(async () => {
  bench = await Workbench.start({ client_max_body: '50m' });
  one = await startInstance({ service: 'shop' });
  await bench.serve('shop', [peer(one)]);
  const place = await gatewayPlace('gw-2', bench.dir, bench.redisPort);
  tlsPort = await reservePort();
  const [cert, key] = [join(bench.dir, 'tls.pem'), join(bench.dir, 'tls.key')];
  const made = ['-subj', '/CN=shop.test', '-days', '2', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...made], { stdio: 'ignore' });
  trusting = await startGateway(place, {
    trusted_proxies: ['127.0.0.0/8'],
    listen: [`127.0.0.1:${place.port}`, `127.0.0.1:${tlsPort},cert=${cert},key=${key},http2`],
  });
});
afterAll(async () => {
  await trusting.stop();
  await bench[Symbol.asyncDispose]();
  await one.stop();
});

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly length: number;
}

/** What the instance saw of a request whose head is given line by line. */
async function echoOf(port: number, ...head: readonly string[]): Promise<Echo> {
  const answer = await exchange(port, `${head.join('\r\n')}\r\nConnection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as Echo;
}

/** Writes bytes and resolves with everything that comes until the gateway closes, or until `enough` has come. */
async function exchange(port: number, text: string, enough = /(?!)/): Promise<string> {
  const socket = await open(port);
  const answer = await new Promise<string>((resolve) => {
    let come = '';
    socket.on('data', (chunk: Buffer) => {
      come += chunk.toString('latin1');
      if (enough.test(come)) resolve(come);
    });
    socket.once('close', () => {
      resolve(come);
    });
    socket.write(text);
  });
  socket.destroy();
  return answer;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.on('error', () => undefined); // a refusal may reset
  return socket;
}

const GET = 'GET /echo HTTP/1.1';
const SHOP = `Host: ${hostOf('shop')}`;
const SPOOFED = [
  'X-Forwarded-For: 203.0.113.9',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Port: 444',
  'X-Forwarded-Prefix: /evil',
  'X-Real-IP: 203.0.113.9',
  'X-Request-Id: chosen-by-me',
  'Forwarded: for=203.0.113.9',
];

describe('who the client is', () => {
  test('nobody can speak for somebody else', async () => {
    const { headers } = await echoOf(bench.place.port, GET, `${SHOP}:80`, ...SPOOFED);
    expect(headers).toMatchObject({
      host: `${hostOf('shop')}:80`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `${hostOf('shop')}:80`,
      'x-forwarded-port': String(bench.place.port),
      'x-real-ip': '127.0.0.1',
    });
    expect(headers).not.toHaveProperty('forwarded');
    expect(headers).not.toHaveProperty('x-forwarded-prefix');
    expect(headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
  });

  test('but a trusted proxy can; its own address is added', async () => {
    const port = Number(new URL(trusting.url).port);
    await until('the second gateway follows', async () => {
      const answer = await request(trusting.url, { headers: { host: hostOf('shop') } });
      await answer.body.dump();
      return answer.statusCode === 200;
    });
    const { headers } = await echoOf(port, GET, SHOP, ...SPOOFED);
    expect(headers).toMatchObject({
      host: hostOf('shop'),
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.test',
      'x-forwarded-port': '444',
      'x-forwarded-prefix': '/evil',
      'x-real-ip': '203.0.113.9',
    });
    // The nearest address that is not a proxy's is the client; what is before it is only claimed.
    const chain = await echoOf(port, GET, SHOP, 'X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.2');
    expect(chain.headers['x-real-ip']).toBe('203.0.113.9');
    const odd = await echoOf(port, GET, SHOP, 'X-Forwarded-Proto: gopher', 'X-Forwarded-Host: a"b');
    expect(odd.headers).toMatchObject({ 'x-forwarded-proto': 'http', 'x-forwarded-host': hostOf('shop') });
  });

  test('the host that chose the route is the host that the instance sees', async () => {
    const absolute = await echoOf(
      bench.place.port,
      `GET http://${hostOf('shop')}/echo HTTP/1.1`,
      'Host: other.test',
    );
    expect(absolute.headers.host).toBe(hostOf('shop'));
    const shouted = await echoOf(bench.place.port, GET, `Host: ${hostOf('shop').toUpperCase()}`);
    expect(shouted.headers.host).toBe(hostOf('shop'));
  });
});

describe('hop by hop', () => {
  test('headers about the connection to the gateway end there', async () => {
    const { headers } = await echoOf(
      bench.place.port,
      GET,
      SHOP,
      ...['TE: trailers', 'Trailer: X-Sum', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive'],
      ...['Proxy-Authorization: Basic eA==', 'Proxy: http://evil.test', 'Upgrade: h2c', 'under_score: 1'],
      ...['Accept-Encoding: br', 'Authorization: Bearer kept'],
    );
    const gone = [
      'te',
      'trailer',
      'keep-alive',
      'proxy-connection',
      'proxy-authorization',
      'proxy',
      'upgrade',
    ];
    for (const name of [...gone, 'under_score', 'connection']) expect(headers).not.toHaveProperty([name]);
    expect(headers).toMatchObject({ 'accept-encoding': 'br', authorization: 'Bearer kept' });
  });

  test('and so do those that the Connection header names', async () => {
    const answer = await exchange(
      bench.place.port,
      [GET, SHOP, 'X-Hop: 1', 'X-Stays: 1', 'Connection: close, X-Hop, X-Request-Id', '', ''].join('\r\n'),
    );
    expect(answer).toContain('"x-stays":"1"');
    expect(answer).not.toContain('x-hop');
    expect(answer).toMatch(/"x-request-id":"[0-9a-f]{32}"/);
  });

  test('connections to an instance are kept and used again', async () => {
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push(await bench.ask('shop', '/echo'));
    expect(answers.every(({ headers }) => headers.connection !== 'close')).toBe(true);
    expect(answers.map(({ text }) => (JSON.parse(text) as Echo).headers.connection)).not.toContain('close');
  });
});

describe('ambiguous requests are refused', () => {
  test.each([
    ['two hosts', [GET, SHOP, 'Host: other.test', 'Connection: close', '', '']],
    ['two lengths', ['POST /echo HTTP/1.1', SHOP, 'Content-Length: 1', 'Content-Length: 2', '', 'ab']],
    [
      'a length and chunks',
      ['POST /echo HTTP/1.1', SHOP, 'Content-Length: 5', 'Transfer-Encoding: chunked', '', '0', '', ''],
    ],
    ['a space before the colon', [GET, SHOP, 'Content-Length : 5', 'Connection: close', '', '']],
    ['no host', [GET, 'Connection: close', '', '']],
  ])('%s', async (_, lines) => {
    const seen = one.requests();
    const answer = await exchange(bench.place.port, lines.join('\r\n'));
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/^content-type: application\/problem\+json\r$/im);
    expect(answer).toMatch(/"request_id":"[0-9a-f]{32}"/);
    expect(one.requests()).toBe(seen);
  });
});

describe('bodies', () => {
  test('20 MB go up and come down whole', async () => {
    const size = 20_000_000;
    const up = await bench.ask('shop', '/echo', { method: 'PUT', body: Buffer.alloc(size, 'x') });
    expect(JSON.parse(up.text)).toMatchObject({ method: 'PUT', length: size });
    const down = await bench.ask('shop', `/bytes?n=${size}`);
    expect(down.text).toHaveLength(size);
  });

  test('a body is passed on while it comes', async () => {
    const seen = one.requests();
    const socket = await open(bench.place.port);
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.write(
      `POST /echo HTTP/1.1\r\n${SHOP}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n`,
    );
    await until('the instance has the beginning', () => one.requests() > seen);
    socket.write('5\r\nthere\r\n0\r\n\r\n');
    await once(socket, 'close');
    expect(answer).toContain('"length":10');
  });

  test('an answer is passed on while it comes', async () => {
    const answer = await request(`${bench.gateway.url}/events`, { headers: { host: hostOf('shop') } });
    const pieces: string[] = [];
    for await (const chunk of answer.body) pieces.push(String(chunk));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe('data: one\n\ndata: two\n\ndata: three\n\n');
  });

  test('a body above the limit is refused, by the gateway', async () => {
    const answer = await exchange(
      bench.place.port,
      `POST /echo HTTP/1.1\r\n${SHOP}\r\nContent-Length: 60000000\r\nConnection: close\r\n\r\n`,
      /too_large/,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"code":"too_large"');
  });
});

describe('WebSockets', () => {
  test('text and binary come back as they went', async () => {
    const socket = new WebSocket(`${bench.gateway.url.replace('http', 'ws')}/ws`, {
      headers: { host: hostOf('shop') },
    });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    const binary = Buffer.alloc(300_000, 7);
    socket.send(binary);
    expect(binary.equals((await once(socket, 'message'))[0] as Buffer)).toBe(true);
    socket.close();
    await once(socket, 'close');
  });
});

describe('errors', () => {
  test("an instance's own 502 passes untouched, the gateway's is problem+json", async () => {
    const theirs = await bench.ask('shop', '/?status=502');
    expect([theirs.status, theirs.headers['content-type']]).toEqual([502, 'application/json']);
    expect(JSON.parse(theirs.text)).toMatchObject({ service: 'shop', instance: one.id });
    expect(theirs.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    const port = await reservePort();
    await bench.serve('dead', [peer({ id: 'dead', host: '127.0.0.1', port, version: '' })]);
    const ours = await bench.ask('dead');
    expect([ours.status, ours.headers['content-type']]).toEqual([502, 'application/problem+json']);
    expect(JSON.parse(ours.text)).toMatchObject({ status: 502, code: 'instance_failed' });
    const head = await bench.ask('dead', '/', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([502, '']);
  });

  test.each([404, 500, 503, 504])("an instance's %i is its own, and counts down", async (status) => {
    const answer = await bench.ask('shop', `/?status=${status}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json']);
  });

  test('an instance cannot steer the gateway', async () => {
    const seen = one.requests();
    const answer = await bench.ask('shop', '/accel');
    expect([answer.status, one.requests() - seen]).toEqual([200, 1]);
    expect(answer.headers).not.toHaveProperty('x-accel-redirect');
  });
});

describe('TLS', () => {
  test('HTTP/2 and HTTP/1.1 reach the instance, reported as https', async () => {
    const session: ClientHttp2Session = connectHttp2(`https://127.0.0.1:${tlsPort}`, {
      rejectUnauthorized: false,
    });
    const stream = session.request({ ':path': '/echo', ':authority': hostOf('shop') });
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(stream, 'end');
    session.close();
    expect((JSON.parse(text) as Echo).headers).toMatchObject({
      host: hostOf('shop'),
      'x-forwarded-proto': 'https',
    });
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, allowH2: false });
    const plain = await request(`https://127.0.0.1:${tlsPort}/echo`, {
      headers: { host: hostOf('shop') },
      dispatcher,
    });
    expect(((await plain.body.json()) as Echo).headers['x-forwarded-proto']).toBe('https');
    await dispatcher.close();
  });
});

test('after all this nothing is in flight, and no error but the expected ones is in the log', async () => {
  await bench.heard(
    'none in flight',
    (beat) => Object.keys(beat.in_flight).length === 0 && beat.uncounted === 0,
  );
  const odd = readFileSync(bench.gateway.errorLog, 'utf8')
    .split('\n')
    .filter(
      (line) => /\[(error|crit|alert|emerg)\]/.test(line) && !/Connection refused|too large body/.test(line),
    );
  expect(odd).toEqual([]);
});
