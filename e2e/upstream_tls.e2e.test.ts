import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { ServiceSet } from '../control-plane/src/testkit.js';
import { Authority, type Certificate } from './harness/certificates.js';
import { gatewayConf } from './harness/gateway.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

/** An instance that speaks TLS and shows what it saw of the gateway. */
interface Secure {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly server: Server;
  readonly requests: () => number;
}

let bench: Workbench;
let authority: Authority;
let stranger: Authority;
let client: Certificate;
const servers: Server[] = [];

async function secure(own: Certificate, more: { readonly asks?: string } = {}): Promise<Secure> {
  let requests = 0;
  const server = createServer(
    {
      cert: readFileSync(own.cert),
      key: readFileSync(own.key),
      ...(more.asks === undefined
        ? {}
        : { ca: readFileSync(more.asks), requestCert: true, rejectUnauthorized: true }),
    },
    (request, response) => {
      requests += 1;
      const socket = request.socket as TLSSocket & { readonly servername: string | false };
      const shown = socket.getPeerCertificate();
      const subject = 'subject' in shown ? shown.subject.CN : '';
      response.end(
        JSON.stringify({
          sni: socket.servername,
          protocol: socket.getProtocol(),
          client: subject,
          host: request.headers.host,
          port: request.socket.remotePort,
        }),
      );
    },
  );
  const sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => {
      socket.send(data, { binary });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  return {
    id: `127.0.0.1:${String(port)}`,
    host: '127.0.0.1',
    port,
    version: 'v1',
    server,
    requests: () => requests,
  };
}

const over = (tls: string, scheme: 'https' | 'grpcs' = 'https'): Partial<ServiceSet> => ({
  upstream: tls === '' ? { scheme } : { scheme, tls },
  health: { max_fails: 0, fail_timeout_ms: 10_000 },
});

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-tls-'));
  [authority, stranger] = [new Authority(dir, 'authority'), new Authority(dir, 'stranger')];
  client = authority.sign('gateway.internal');
  bench = await Workbench.start({
    upstream_tls: [
      `internal,server_name=orders.internal,ca=${authority.ca}`,
      `mutual,server_name=orders.internal,ca=${authority.ca},cert=${client.cert},key=${client.key}`,
      `default,server_name=fallback.internal,ca=${authority.ca}`,
      'public,server_name=orders.internal',
    ],
  });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

test('an instance is reached over TLS by the name of its profile, and the Host stays that of the client', async () => {
  const instance = await secure(authority.sign('orders.internal'));
  await bench.serve('plain', [peer(instance)], over('internal'));
  const answer = await bench.ask('plain');
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toMatchObject({
    sni: 'orders.internal',
    protocol: 'TLSv1.3',
    host: 'plain.test',
    client: '',
  });
});

test('connections are kept', async () => {
  const instance = await secure(authority.sign('orders.internal'));
  await bench.serve('kept', [peer(instance)], over('internal'));
  const ports = new Set<number>();
  for (let sent = 0; sent < 20; sent += 1)
    ports.add((JSON.parse((await bench.ask('kept')).text) as { readonly port: number }).port);
  expect(ports.size).toBeLessThanOrEqual(2); // one per worker
});

test.each([
  ['another name', () => authority.sign('other.internal'), 'internal'],
  ['another authority', () => stranger.sign('orders.internal'), 'internal'],
  ['an authority that the system does not know', () => authority.sign('orders.internal'), 'public'],
])('a certificate of %s is refused: 502, and nothing was sent', async (name, sign, profile) => {
  const instance = await secure(sign());
  const service = `bad-${name.split(' ')[1] ?? ''}-${profile}`;
  await bench.serve(service, [peer(instance)], over(profile));
  const answer = await bench.ask(service);
  expect(answer.status).toBe(502);
  expect(JSON.parse(answer.text)).toMatchObject({ code: 'instance_failed' });
  expect(instance.requests()).toBe(0);
});

test('of two instances the one with a wrong certificate costs no request', async () => {
  const [bad, good] = [
    await secure(stranger.sign('orders.internal')),
    await secure(authority.sign('orders.internal')),
  ];
  await bench.serve('half', [peer(bad), peer(good)], over('internal'));
  for (let sent = 0; sent < 10; sent += 1) {
    expect((await bench.ask('half')).status).toBe(200);
    expect((await bench.ask('half', '/', { method: 'POST', body: 'x' })).status).toBe(200);
  }
  expect(bad.requests()).toBe(0);
});

test('the gateway shows its own certificate where the profile has one, and only there', async () => {
  const instance = await secure(authority.sign('orders.internal'), { asks: authority.ca });
  await bench.serve('mutual', [peer(instance)], over('mutual'));
  const answer = await bench.ask('mutual');
  expect(JSON.parse(answer.text)).toMatchObject({ client: 'gateway.internal' });
  // The connection of one profile is never used for another, though the address is the same.
  await bench.serve('shy', [peer(instance)], over('internal'));
  expect((await bench.ask('shy')).status).not.toBe(200);
});

test('a set that names no profile takes the one called default', async () => {
  const instance = await secure(authority.sign('fallback.internal'));
  await bench.serve('nameless', [peer(instance)], over(''));
  expect(JSON.parse((await bench.ask('nameless')).text)).toMatchObject({ sni: 'fallback.internal' });
});

test('WebSockets go through, in a retry class too', async () => {
  const instance = await secure(authority.sign('orders.internal'));
  await bench.serve('socket', [peer(instance)], {
    ...over('internal'),
    retry: { tries: 2, on: 'server_error', non_idempotent: true },
  });
  const socket = new WebSocket(`${bench.gateway.url.replace('http', 'ws')}/ws`, {
    headers: { host: hostOf('socket') },
  });
  const echoed = once(socket, 'message');
  await once(socket, 'open');
  socket.send('over TLS');
  expect(String((await echoed)[0])).toBe('over TLS');
  await bench.heard('it is counted', ({ in_flight }) => Object.values(in_flight).includes(1));
  socket.terminate();
  await bench.heard('it is gone', ({ in_flight }) => Object.keys(in_flight).length === 0);
});

test('a service may move to TLS and back while it is used', async () => {
  const plain = await secure(authority.sign('orders.internal'));
  const other = await secure(authority.sign('fallback.internal'));
  await bench.serve('moving', [peer(plain)], over('internal'));
  expect(JSON.parse((await bench.ask('moving')).text)).toMatchObject({ sni: 'orders.internal' });
  await bench.serve('moving', [peer(other)], over('default'));
  expect(JSON.parse((await bench.ask('moving')).text)).toMatchObject({ sni: 'fallback.internal' });
});

test('a reload without the profile takes the service out and says so; with it, all is well again', async () => {
  const instance = await secure(authority.sign('orders.internal'));
  await bench.serve('reloaded', [peer(instance)], over('mutual'));
  const confWith = (profiles: readonly string[]): string =>
    gatewayConf(bench.place, { upstream_tls: profiles });
  const full = readFileSync(join(bench.place.dir, 'nginx.conf'), 'utf8');
  await bench.gateway.reload(confWith([`internal,server_name=orders.internal,ca=${authority.ca}`]));
  await until('it is out', async () => (await bench.ask('reloaded')).status === 503);
  await bench.heard('it is rejected', ({ rejected }) =>
    rejected.some(({ service, code }) => service === 'reloaded' && code === 'unknown_profile'),
  );
  expect((await bench.ask('plain')).status).toBe(200);
  expect(readFileSync(bench.gateway.errorLog, 'utf8')).toMatch(
    /reloaded .*unknown_profile: upstream.tls: mutual/,
  );
  await bench.gateway.reload(full);
  await bench.heard('nothing is rejected', ({ rejected }) => rejected.length === 0);
  await until('it is back', async () => (await bench.ask('reloaded')).status === 200);
});
