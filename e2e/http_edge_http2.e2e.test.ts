import { once } from 'node:events';
import { connect, createServer, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reservePort, type ServiceSet } from '../control-plane/src/testkit.js';
import { Edge } from './harness/edge.js';
import { peer } from './harness/publish.js';
import {
  answering,
  openRawClient,
  startRawInstance,
  whole,
  type RawInstance,
  type Talk,
} from './harness/raw.js';
import { DATA, framesOf, GOAWAY, HEADERS, headersFrame, PREFACE, RST_STREAM } from './harness/raw_http2.js';
import { untilValue } from './harness/until.js';
import { hostOf } from './harness/workbench.js';

/*
 * The same as http_edge, for clients of HTTP/2 and for gRPC: whatever one instance says, the streams beside it go on.
 */

let edge: Edge;
let port: number;
let session: ClientHttp2Session;
const raw: RawInstance[] = [];
const closing: (() => void)[] = [];
let named = 0;

beforeAll(async () => {
  port = await reservePort();
  // One worker: all streams of a test share it.
  edge = await Edge.start({ listen: [`127.0.0.1:${port},http2`], workers: 1 });
  session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined); // tests say what they expect of it
});
afterAll(async () => {
  session.destroy();
  await edge[Symbol.asyncDispose]();
  for (const one of raw) await one.stop();
  for (const close of closing) close();
});

const STRICT: Partial<ServiceSet> = { health: { max_fails: 1, fail_timeout_ms: 60_000 } };

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly grpcStatus: string | undefined;
  /** The stream ended by RST_STREAM. */
  readonly reset: boolean;
}

/** One request; resolves when its stream is over, however that ends. `cancelAt`: once the body has this, the client leaves. */
async function ask(
  service: string,
  {
    headers = {},
    body = '',
    cancelAt,
  }: { headers?: Record<string, string>; body?: string; cancelAt?: string } = {},
): Promise<Reply> {
  const stream = session.request({ ':path': '/', ':authority': hostOf(service), ...headers });
  let [status, text, grpcStatus, reset] = [0, '', undefined as string | undefined, false];
  stream.on('response', (come) => {
    status = Number(come[':status']);
    grpcStatus ??= come['grpc-status']?.toString();
  });
  stream.on('trailers', (come) => (grpcStatus ??= come['grpc-status']?.toString()));
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (cancelAt !== undefined && text.includes(cancelAt)) stream.close(8);
  });
  stream.on('error', () => (reset = true));
  if (body !== '') stream.end(body);
  await once(stream, 'close').catch(() => undefined);
  return { status, body: text, grpcStatus, reset };
}

async function serve(talk: Talk, set: Partial<ServiceSet> = STRICT): Promise<string> {
  const service = `h2-${(named += 1)}`;
  const instance = await startRawInstance(talk);
  raw.push(instance);
  await edge.bench.serve(service, [peer(instance)], { retry: { tries: 2, budget_percent: 100 }, ...set });
  return service;
}

const lines = (service: string, count = 1): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  untilValue(
    `${count} lines of ${service}`,
    () => edge.log(service),
    (found) => found.length >= count,
  );
const ejections = (service: string): Promise<number> => edge.sum('ebbgate_ejections_total', service);

/** The session, and what is beside the stream that failed, is as good as before. */
async function goesOn(): Promise<void> {
  const service = await serve(answering(whole()));
  expect(await ask(service)).toMatchObject({ status: 200, body: 'good' });
}

describe('an instance over HTTP/1.1', () => {
  test.each<[string, string, number]>([
    ['103', `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${whole()}`, 0],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2p1\r\n', 1],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ngood!', 1],
    ['101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n', 1],
  ])('that says %s is a 502 of its stream alone', async (what, bytes, blamed) => {
    const service = await serve(answering(bytes));
    const reply = await ask(service);
    if (what === '103' && reply.status === 200) return; // a newer nginx
    expect(reply).toMatchObject({ status: 502, reset: false });
    expect(JSON.parse(reply.body)).toMatchObject({ code: 'instance_failed' });
    expect(await lines(service)).toMatchObject([{ status: 502, protocol: 'HTTP/2.0' }]);
    expect(await ejections(service)).toBe(blamed);
    await goesOn();
  });

  const half: Talk = async (line) => {
    await line.request();
    await line.drip(['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', '0123456789']);
  };
  test('that breaks the body is marked and counted', async () => {
    const service = await serve(async (line, turn) => {
      await half(line, turn);
      line.close();
    });
    expect((await ask(service)).body).toBe('0123456789');
    expect(await lines(service)).toMatchObject([{ status: 200, aborted_by: 'instance' }]);
    expect(await edge.sum('ebbgate_broken_answers_total', service)).toBe(1);
    expect(await ejections(service)).toBe(1);
    await goesOn();
  });
  test('is not to blame for a client that cancels', async () => {
    const service = await serve(half);
    await ask(service, { cancelAt: '0123456789' });
    expect(await lines(service)).toMatchObject([{ aborted_by: 'client' }]);
    expect(await edge.sum('ebbgate_broken_answers_total', service)).toBe(0);
    expect(await ejections(service)).toBe(0);
    await goesOn();
  });

  test('sees no upgrade, whatever the client writes, and no raw byte is between the frames', async () => {
    const service = await serve(async (line) => {
      const { head } = await line.request();
      if (!/^upgrade:/im.test(head)) line.send(whole('plain'));
      else
        line.send(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes',
        );
    });
    const client = await openRawClient(port);
    const headers = (path: string): readonly (readonly [string, string])[] => [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', hostOf(service)],
      [':path', path],
      ['upgrade', 'websocket'],
      ['connection', 'upgrade'],
    ];
    client.send(Buffer.concat([PREFACE, headersFrame(1, headers('/one')), headersFrame(3, headers('/two'))]));
    const frames = await untilValue(
      'both streams have ended',
      () => framesOf(Buffer.from(client.text, 'latin1')),
      (found) =>
        [1, 3].every((id) =>
          found.some(
            ({ stream, flags, type }) => stream === id && ((flags & 1) !== 0 || type === RST_STREAM),
          ),
        ),
    );
    expect(frames.filter(({ type }) => type === GOAWAY)).toEqual([]);
    for (const id of [1, 3]) {
      const mine = frames.filter(({ stream }) => stream === id);
      // Answered as a plain request, or refused: a newer nginx takes such headers for malformed.
      if (mine.some(({ type }) => type === RST_STREAM)) continue;
      expect(mine.some(({ type }) => type === HEADERS)).toBe(true);
      const data = mine.filter(({ type }) => type === DATA).map(({ payload }) => payload.toString('latin1'));
      expect(data.join('')).toMatch(/^plain$|"status":400/);
    }
    client.close();
  });
});

describe('an instance over gRPC', () => {
  const GRPC = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const set = (more: Partial<ServiceSet> = {}): Partial<ServiceSet> => ({
    ...STRICT,
    upstream: { scheme: 'grpc' },
    ...more,
  });

  async function serveGrpc(handler: (stream: ServerHttp2Stream) => void): Promise<string> {
    const server = createServer();
    server.on('stream', (stream) => {
      stream.on('error', () => undefined); // cut off by the other side
      stream.resume().once('end', () => handler(stream));
    });
    server.on('session', (one) => closing.push(() => one.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    const address = server.address() as AddressInfo;
    const service = `h2-${(named += 1)}`;
    const instance = {
      id: `127.0.0.1:${address.port}`,
      host: '127.0.0.1',
      port: address.port,
      version: 'v1',
    };
    await edge.bench.serve(service, [peer(instance)], set());
    return service;
  }
  const respond = (stream: ServerHttp2Stream, trailers: boolean): void => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: trailers });
    if (trailers) stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  };

  test('that says its status is whole: in trailers, or with the head alone', async () => {
    const full = await serveGrpc((stream) => {
      respond(stream, true);
      stream.end('reply');
    });
    expect(await ask(full, { headers: GRPC, body: 'x' })).toMatchObject({
      status: 200,
      body: 'reply',
      grpcStatus: '0',
    });
    const bare = await serveGrpc((stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' },
        { endStream: true },
      );
    });
    expect(await ask(bare, { headers: GRPC, body: 'x' })).toMatchObject({ status: 200, grpcStatus: '5' });
    for (const service of [full, bare]) {
      expect(await lines(service)).toMatchObject([{ aborted_by: '' }]);
      expect(await ejections(service)).toBe(0);
    }
  });

  test.each<[string, (stream: ServerHttp2Stream) => void]>([
    [
      'without trailers',
      (stream) => {
        respond(stream, false);
        stream.end('reply');
      },
    ],
    [
      'and breaks the connection',
      (stream) => {
        respond(stream, true);
        stream.write('reply', () => setImmediate(() => stream.session?.destroy()));
      },
    ],
  ])('that answers %s is marked and counted', async (_what, handler) => {
    const service = await serveGrpc(handler);
    await ask(service, { headers: GRPC, body: 'x' });
    expect(await lines(service)).toMatchObject([{ status: 200, aborted_by: 'instance' }]);
    expect(await edge.sum('ebbgate_broken_answers_total', service)).toBe(1);
    expect(await ejections(service)).toBe(1);
  });

  test('that resets its stream ends visibly; nobody can know that from a client that cancels', async () => {
    const service = await serveGrpc((stream) => {
      respond(stream, true);
      stream.write('reply', () => stream.close(2));
    });
    expect(await ask(service, { headers: GRPC, body: 'x' })).toMatchObject({ status: 200, reset: true });
    expect(await lines(service)).toMatchObject([{ status: 200, aborted_by: 'client' }]);
    expect(await ejections(service)).toBe(0);
    await goesOn();
  });

  test('that sends 103 first ends visibly', async () => {
    const service = await serveGrpc((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</x>' });
      respond(stream, true);
      stream.end('reply');
    });
    const reply = await ask(service, { headers: GRPC, body: 'x' });
    expect(reply).toMatchObject({ status: 200, reset: false });
    expect(['14', '0']).toContain(reply.grpcStatus);
    await lines(service);
    await goesOn();
  });
});
