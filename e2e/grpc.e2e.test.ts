import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import {
  connect,
  createSecureServer,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reservePort, type ServiceSet } from '../control-plane/src/testkit.js';
import { Authority } from './harness/certificates.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

/** One call as a client of gRPC sees it. */
interface Reply {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
  /** The head alone ended the answer, so grpc-status is in it. */
  readonly trailersOnly: boolean;
}

interface Served {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly calls: IncomingHttpHeaders[];
}

let bench: Workbench;
let session: ClientHttp2Session;
let overTls: ClientHttp2Session;
const servers: Http2Server[] = [];
const sessions = new Set<{ destroy(): void }>();
let authority: Authority;

async function listening(server: Http2Server, calls: IncomingHttpHeaders[]): Promise<Served> {
  server.on('session', (one) => sessions.add(one));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  return { id: `127.0.0.1:${String(port)}`, host: '127.0.0.1', port, version: 'v1', calls };
}

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

function handled(calls: IncomingHttpHeaders[], handler: Handler): Handler {
  return (stream, headers) => {
    calls.push(headers);
    stream.on('error', () => undefined); // cut off by the other side
    handler(stream, headers);
  };
}

/** Echoes each piece as it comes, and says ok in its trailers. */
const echoing: Handler = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' });
  });
  stream.pipe(stream);
};

async function grpcInstance(handler: Handler = echoing): Promise<Served> {
  const calls: IncomingHttpHeaders[] = [];
  const server = createServer();
  server.on('stream', handled(calls, handler));
  return listening(server, calls);
}

function begin(
  over: ClientHttp2Session,
  service: string,
  path = '/shop.Orders/Get',
): { readonly stream: ReturnType<ClientHttp2Session['request']>; readonly reply: Promise<Reply> } {
  const stream = over.request({
    ':method': 'POST',
    ':path': path,
    ':authority': hostOf(service),
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const reply = new Promise<Reply>((resolve, reject) => {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let [body, trailersOnly] = ['', false];
    stream.on('response', (come, flags) => {
      headers = come;
      trailersOnly = (flags & 0x1) !== 0;
    });
    stream.on('trailers', (come) => (trailers = come));
    stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
    stream.once('error', reject);
    stream.once('close', () => {
      resolve({ headers, trailers, body, trailersOnly });
    });
  });
  return { stream, reply };
}

function call(over: ClientHttp2Session, service: string, body = 'ping'): Promise<Reply> {
  const { stream, reply } = begin(over, service);
  stream.end(body);
  return reply;
}

const grpc = (more: Partial<ServiceSet> = {}): Partial<ServiceSet> => ({
  upstream: { scheme: 'grpc' },
  health: { max_fails: 0, fail_timeout_ms: 10_000 },
  ...more,
});

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-grpc-'));
  authority = new Authority(dir, 'authority');
  const edge = authority.sign('edge.test');
  const [h2c, tls] = [await reservePort(), await reservePort()];
  bench = await Workbench.start({
    listen: [
      `127.0.0.1:${String(h2c)},http2`,
      `127.0.0.1:${String(tls)},cert=${edge.cert},key=${edge.key},http2`,
    ],
    upstream_tls: [`internal,server_name=orders.internal,ca=${authority.ca}`],
  });
  session = connect(`http://127.0.0.1:${String(h2c)}`);
  overTls = connect(`https://127.0.0.1:${String(tls)}`, {
    ca: readFileSync(authority.ca),
    servername: 'edge.test',
  });
});
afterAll(async () => {
  session.destroy();
  overTls.destroy();
  await bench[Symbol.asyncDispose]();
  for (const one of sessions) one.destroy();
  for (const server of servers) server.close();
});

describe('a call', () => {
  test.each([
    ['without TLS', () => session],
    ['over TLS', () => overTls],
  ])('from a client %s reaches the instance, with its trailers back', async (name, over) => {
    const instance = await grpcInstance();
    const service = `call-${name.replaceAll(' ', '-').toLowerCase()}`;
    await bench.serve(service, [peer(instance)], grpc());
    const reply = await call(over(), service);
    expect(reply.body).toBe('ping');
    expect(reply.trailers).toMatchObject({ 'grpc-status': '0', 'grpc-message': 'fine' });
    expect(instance.calls[0]).toMatchObject({
      host: hostOf(service), // nginx says it by this, not by :authority
      ':path': '/shop.Orders/Get',
      te: 'trailers',
      'x-forwarded-proto': over() === session ? 'http' : 'https',
    });
  });

  test('may be a stream in both directions, as long as it likes', async () => {
    const instance = await grpcInstance();
    await bench.serve('stream', [peer(instance)], grpc());
    const { stream, reply } = begin(session, 'stream');
    for (const piece of ['one', 'two', 'three']) {
      const back = once(stream, 'data');
      stream.write(piece);
      expect(String((await back)[0])).toBe(piece);
    }
    await bench.heard('it is counted', ({ in_flight }) => Object.values(in_flight).includes(1));
    stream.end();
    expect(await reply).toMatchObject({ body: 'onetwothree', trailers: { 'grpc-status': '0' } });
    await bench.heard('it is gone', ({ in_flight }) => Object.keys(in_flight).length === 0);
  });

  test('to a dead instance goes to another', async () => {
    const [port, good] = [await reservePort(), await grpcInstance()];
    const dead = { id: `127.0.0.1:${String(port)}`, host: '127.0.0.1', port, version: 'v1' };
    await bench.serve('dead', [peer(dead), peer(good)], grpc());
    for (let sent = 0; sent < 6; sent += 1)
      expect((await call(session, 'dead')).trailers['grpc-status']).toBe('0');
  });

  test('reaches an instance over TLS that proves its name, and no other', async () => {
    for (const [name, status] of [
      ['orders.internal', '0'],
      ['other.internal', '14'],
    ] as const) {
      const own = authority.sign(name);
      const calls: IncomingHttpHeaders[] = [];
      const server = createSecureServer({ cert: readFileSync(own.cert), key: readFileSync(own.key) });
      server.on('stream', handled(calls, echoing));
      const instance = await listening(server, calls);
      const service = `grpcs-${name.split('.')[0] ?? ''}`;
      await bench.serve(service, [peer(instance)], grpc({ upstream: { scheme: 'grpcs', tls: 'internal' } }));
      const reply = await call(overTls, service);
      expect({ ...reply.headers, ...reply.trailers }['grpc-status']).toBe(status);
      expect(calls.length).toBe(status === '0' ? 1 : 0);
    }
  });
});

describe("the gateway's own errors", () => {
  const refused = (reply: Reply, status: string): void => {
    expect(reply.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': status,
    });
    expect(reply.trailersOnly).toBe(true);
    expect(reply.body).toBe('');
  };

  test('no route: UNIMPLEMENTED', async () => {
    refused(await call(session, 'nowhere'), '12');
  });

  test('no instance: UNAVAILABLE', async () => {
    await bench.serve('empty', [], grpc());
    refused(await call(session, 'empty'), '14');
  });

  test('an instance that breaks: UNAVAILABLE, and the call is not replayed', async () => {
    const breaking: Handler = (stream) => {
      stream.session?.destroy();
    };
    const two = [await grpcInstance(breaking), await grpcInstance(breaking)];
    await bench.serve(
      'breaks',
      two.map((one) => peer(one)),
      grpc(),
    );
    refused(await call(session, 'breaks'), '14');
    expect(two.reduce((sum, { calls }) => sum + calls.length, 0)).toBe(1);
  });

  test('an instance that hangs: DEADLINE_EXCEEDED', async () => {
    const instance = await grpcInstance(() => undefined);
    const timeouts = { connect_ms: 500, send_ms: 60_000, read_ms: 60_000, total_ms: 300 };
    await bench.serve('hangs', [peer(instance)], grpc({ timeouts }));
    refused(await call(session, 'hangs'), '4');
  });

  test('are counted as errors all the same', async () => {
    await until('both are counted', async () => {
      const { text } = await bench.admin('/metrics');
      const counted = (service: string): boolean =>
        new RegExp(`ebbgate_requests_total\\{service="${service}",.*status="5xx"\\} 1`).test(text);
      return counted('hangs') && counted('empty');
    });
  });
});

test('a client that leaves is counted out', async () => {
  const instance = await grpcInstance(() => undefined);
  await bench.serve('leaves', [peer(instance)], grpc());
  const { stream, reply } = begin(session, 'leaves');
  reply.catch(() => undefined);
  stream.write('x');
  await bench.heard('it is open', ({ in_flight }) => Object.values(in_flight).includes(1));
  stream.close();
  await bench.heard('it is gone', ({ in_flight }) => Object.keys(in_flight).length === 0);
});
