import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

let bench: Workbench;
let victim: Instance;
let traffic: ReturnType<typeof startTraffic>;

/** Short, so that a scenario can wait for them; what they do is the same. */
const RETRY_LATER = { client_header_timeout: '1s', client_body_timeout: '1s', client_send_timeout: '1s' };
const HOST = `Host: ${hostOf('shop')}`;

beforeAll(async () => {
  bench = await Workbench.start({ ...RETRY_LATER, worker_connections: 8_192 });
  victim = await startInstance({ service: 'shop' });
  await bench.serve('shop', [peer(victim)]);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await victim.stop();
});
// Whatever is tried, everybody else is served meanwhile.
beforeEach(() => {
  traffic = startTraffic({ url: bench.gateway.url, host: hostOf('shop'), rate: 100 });
});
afterEach(async () => {
  const sent = traffic.total();
  await until('traffic after it', () => traffic.total() > sent + 30);
  await traffic.stop();
  expect(traffic.failed).toEqual([]);
});

/** A connection to the gateway that keeps what it hears. */
interface Knock {
  readonly socket: Socket;
  readonly text: () => string;
  readonly closed: () => boolean;
}

async function knock(): Promise<Knock> {
  const socket = connect({ port: bench.place.port, host: '127.0.0.1' });
  let [text, closed] = ['', false];
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('close', () => (closed = true));
  socket.on('error', () => undefined); // cut on purpose
  await once(socket, 'connect');
  return { socket, text: () => text, closed: () => closed };
}

/** Sends `text` and resolves with everything that comes back until the gateway closes, or has said enough. */
async function send(text: string): Promise<string> {
  const door = await knock();
  door.socket.write(text, 'latin1');
  await until('an answer', () => door.closed() || /^HTTP\/1\.[01] \d{3}/.test(door.text()));
  await until('the end of the connection', door.closed, { timeoutMs: 1_500 }).catch(() => undefined);
  door.socket.destroy();
  return door.text();
}

async function idle(): Promise<void> {
  const beat = await bench.heard('a beat', () => true);
  await bench.heard(
    'nothing but traffic in flight',
    ({ seq, in_flight, uncounted }) =>
      seq > beat.seq && (in_flight[`shop|${victim.id}`] ?? 0) < 16 && uncounted === 0,
  );
  await until('the instance has none of them', () => !victim.arrivals.some(open));
}
const open = ({ url, ended }: Instance['arrivals'][number]): boolean => /attack/.test(url) && ended === null;

test('heads that drip in are cut at the deadline of the whole head, and reach no instance', async () => {
  const doors = await Promise.all(Array.from({ length: 200 }, knock));
  const began = performance.now();
  for (const { socket } of doors) socket.write(`GET /attack HTTP/1.1\r\n${HOST}\r\nX-Slow: `);
  const drip = setInterval(() => {
    for (const { socket, closed } of doors) if (!closed()) socket.write('a');
  }, 100);
  await until('all are cut', () => doors.every(({ closed }) => closed()));
  clearInterval(drip);
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(victim.arrivals.some(({ url }) => url.includes('attack'))).toBe(false);
});

test('a body that stops coming and an answer that nobody reads are cut, and are not counted for ever', async () => {
  const stalled = await Promise.all(Array.from({ length: 50 }, knock));
  for (const { socket } of stalled)
    socket.write(`POST /attack HTTP/1.1\r\n${HOST}\r\nContent-Length: 1000\r\n\r\nhalf`);
  const deaf = await Promise.all(Array.from({ length: 10 }, knock));
  for (const { socket } of deaf) {
    socket.pause();
    socket.write(`GET /bytes?n=12000000&attack HTTP/1.1\r\n${HOST}\r\n\r\n`);
  }
  await until('they came in', () => victim.arrivals.filter(({ url }) => url.includes('attack')).length >= 60);
  await until('the stalled are cut', () => stalled.every(({ closed }) => closed()));
  await idle();
  for (const { socket } of deaf) socket.destroy();
});

test.each([
  ['a header of 20 kB', [`X-Big: ${'a'.repeat(20_000)}`], /^HTTP\/1\.1 (400|431|494) /],
  [
    'a hundred headers of 8 kB',
    Array.from({ length: 100 }, (_, i) => `X-${i}: ${'a'.repeat(8_000)}`),
    /^HTTP\/1\.1 (400|431|494) /,
  ],
  ['a cookie of 60 kB', [`Cookie: ${'a'.repeat(60_000)}`], /^HTTP\/1\.1 (400|431|494) /],
])('%s is refused and reaches no instance', async (_, headers, refusal) => {
  expect(await send([`GET /attack-big HTTP/1.1`, HOST, ...headers, '', ''].join('\r\n'))).toMatch(refusal);
  expect(victim.arrivals.some(({ url }) => url.includes('attack-big'))).toBe(false);
});

test('a request line of 20 kB is refused', async () => {
  expect(await send(`GET /attack-big${'a'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 414 /,
  );
});

const INNER = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n\r\n`;
const chunked = `0\r\n\r\n${INNER}`;
const length = String(chunked.length);

const SMUGGLING: readonly (readonly [string, readonly string[], string])[] = [
  ['both lengths', ['Content-Length: 4', 'Transfer-Encoding: chunked'], chunked],
  ['both lengths, the other way round', ['Transfer-Encoding: chunked', `Content-Length: ${length}`], chunked],
  ['two different lengths', ['Content-Length: 0', `Content-Length: ${INNER.length}`], INNER],
  ['a list of lengths', [`Content-Length: 0, ${INNER.length}`], INNER],
  ['a signed length', [`Content-Length: +${INNER.length}`], INNER],
  ['a negative length', ['Content-Length: -1'], INNER],
  ['a hexadecimal length', ['Content-Length: 0x0'], INNER],
  ['a length beyond all numbers', [`Content-Length: ${'9'.repeat(40)}`], INNER],
  ['a space before the colon of the length', [`Content-Length : ${INNER.length}`], INNER],
  [
    'a space before the colon of the encoding',
    [`Content-Length: ${length}`, 'Transfer-Encoding : chunked'],
    chunked,
  ],
  ['an unknown encoding', [`Content-Length: ${length}`, 'Transfer-Encoding: xchunked'], chunked],
  [
    'an encoding with a vertical tab',
    [`Content-Length: ${length}`, 'Transfer-Encoding: \x0bchunked'],
    chunked,
  ],
  ['two encodings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked],
  ['a list of encodings', ['Transfer-Encoding: identity, chunked'], chunked],
  ['an encoding on a folded line', [`Content-Length: ${length}`, 'Transfer-Encoding:', ' chunked'], chunked],
  ['an underscore for a hyphen', [`Content-Length: ${length}`, 'Transfer_Encoding: chunked'], chunked],
  ['a NUL in a header', ['X-Nul: a\0b', `Content-Length: ${length}`, 'Transfer-Encoding: chunked'], chunked],
  ['a bare CR in a header', [`X-Cr: a\rTransfer-Encoding: chunked`, `Content-Length: ${length}`], chunked],
  ['a chunk length that is none', ['Transfer-Encoding: chunked'], `zz\r\n\r\n${INNER}`],
  ['a chunk length beyond all numbers', ['Transfer-Encoding: chunked'], `ffffffffffffffffff\r\n${INNER}`],
];

test('smuggling: however the length is hidden, no instance ever sees the inner request', async () => {
  const tried = SMUGGLING.map(async ([what, headers, body]) => {
    const answer = await send(['POST /attack-outer HTTP/1.1', HOST, ...headers, '', body].join('\r\n'));
    // Refused, or taken for one request with a body: then one answer of the instance at the most.
    const good = answer.match(/HTTP\/1\.1 200 /g) ?? [];
    expect(good.length, `${what}: ${answer}`).toBeLessThanOrEqual(1);
    return `${what}: ${answer.slice(0, 12)}`;
  });
  const answers = await Promise.all(tried);
  expect(answers.filter((line) => / (400|501)$/.test(line)).length, answers.join('\n')).toBeGreaterThan(10);
  expect(victim.arrivals.filter(({ url }) => url === '/smuggled')).toEqual([]);
  await idle();
});

test('10,000 idle connections take nothing from the others', async () => {
  const most = Number(
    /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1_024,
  );
  const wanted = Math.min(10_000, most - 1_000);
  const sockets: Socket[] = [];
  try {
    for (let opened = 0; opened < wanted; opened += 250)
      sockets.push(...(await Promise.all(Array.from({ length: 250 }, async () => (await knock()).socket))));
    expect(sockets.length).toBeGreaterThanOrEqual(wanted);
    const [sent, began] = [traffic.total(), performance.now()];
    await until('traffic among them', () => traffic.total() > sent + 200);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await bench.ask('shop')).toMatchObject({ status: 200 });
    expect((await bench.admin('/healthz')).status).toBe(200);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('a stranger who speaks for somebody else is overwritten, for the instance and in the log', async () => {
  const spoofed = {
    'x-forwarded-for': '203.0.113.66',
    'x-real-ip': '203.0.113.66',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.test',
    'x-forwarded-port': '444',
    'x-forwarded-prefix': '/evil',
    forwarded: 'for=203.0.113.66;host=evil.test;proto=https',
    'x-request-id': 'chosen-by-a-stranger',
  };
  const answer = await bench.ask('shop', '/echo?spoofed', { headers: spoofed });
  const { headers } = JSON.parse(answer.text) as { readonly headers: Readonly<Record<string, string>> };
  expect(JSON.stringify(headers)).not.toMatch(/203\.0\.113\.66|evil|444|stranger/);
  expect(headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-real-ip': '127.0.0.1',
    'x-forwarded-proto': 'http',
  });
  const log = await until('its line in the access log', () => {
    const lines = readFileSync(bench.gateway.accessLog, 'utf8').split('\n');
    return lines.filter((line) => line.includes(headers['x-request-id'] ?? 'none')).length === 1 && lines;
  });
  expect(log.join('\n')).not.toMatch(/203\.0\.113\.66|evil|stranger/);
});
