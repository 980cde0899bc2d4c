import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as askPlain } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { request, type Dispatcher } from 'undici';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { readClientIdentity, readServerIdentity } from '../disk/api_identity.js';
import { Authority, type Certificate } from '../testing/certificates.js';
import { createRecordingLog, type RecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeRelease } from '../testing/memory_releases.js';
import { makeReadiness } from '../testing/resources.js';
import { buildToken } from '../testing/tokens.js';
import { until } from '../testing/until.js';
import { makeToken } from './auth/secret.js';
import { forwardByHttp } from './forward_http.js';
import { createApi, type Api } from './server.js';
import { ApiCertificate } from './tls/certificate.js';
import { connectionsOf } from './tls/outgoing.js';
import { HANDSHAKE_MS } from './tls/secure_server.js';

/*
 * The control API by TLS, over real sockets and with certificates that openssl made.
 */

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-api-tls-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});
const LOCAL = 'DNS:localhost,IP:127.0.0.1';
const NAMES = { cert: 'CERT', key: 'KEY', clientCa: 'CLIENT_CA' };
const DRAIN = '/v1/services/shop/instances/a/drain';
const authority = new Authority(dir, 'ours');
const people = new Authority(dir, 'people');
const stranger = new Authority(dir, 'theirs');
const first = authority.sign('first', LOCAL);
const second = authority.sign('second', LOCAL);
const ann = people.sign('ann');

let log: RecordingLog;
let plane: MemoryPlane;
let served: Served;
const opened: AsyncDisposable[] = [];

interface Served {
  readonly api: Api;
  readonly port: number;
  readonly url: string;
  readonly certificate: ApiCertificate;
}

beforeEach(async () => {
  log = createRecordingLog();
  plane = planeOf('leading');
  served = await serve(plane);
});
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

function planeOf(state: 'leading' | 'standby'): MemoryPlane {
  const made = new MemoryPlane().add('shop', ['a', 'b']);
  const ready = makeReadiness();
  made.ready = { ...ready, controller: { ...ready.controller, state } };
  made.tokens.records.set(
    'ann',
    buildToken({ name: 'ann', certificate: 'ann', verifier: null, role: 'operator' }),
  );
  return made;
}

/** The files that the next API is served with. */
const files = {
  cert: join(dir, 'api.pem'),
  key: join(dir, 'api.key'),
  clientCa: join(dir, 'people-now.pem'),
};

function install({ cert, key }: Certificate): void {
  copyFileSync(cert, files.cert);
  copyFileSync(key, files.key);
}

/** What is different from a usual controller: whom it trusts when it sends something on, its token, its certificate. */
interface Different {
  readonly ca?: string;
  readonly token?: string | null;
  readonly own?: Certificate;
}

async function serve(
  of: MemoryPlane,
  { ca = authority.ca, token = 'static-word', own = first }: Different = {},
): Promise<Served> {
  install(own);
  copyFileSync(people.ca, files.clientCa);
  const read = () => readServerIdentity(files);
  const found = read();
  if (!found.ok) throw new Error(found.error.message);
  const certificate = new ApiCertificate(found.value, {
    read,
    names: NAMES,
    clock: systemClock,
    log,
    lookMs: 20,
  });
  const api = createApi({
    ...{ plane: of, log, token, clock: systemClock, version: '1', certificate },
    ...{ listen: { host: '127.0.0.1', port: 0 }, randomId: () => 'req-1', randomBytes },
    metrics: () => Promise.resolve('up 1\n'),
    forwardTo: forwardByHttp(connectionsOf(() => readClientIdentity({ ca, cert: '', key: '' }))),
  });
  opened.push(api);
  await api.start();
  const { port } = api.address();
  return { api, port, url: `https://localhost:${String(port)}`, certificate };
}

/** Connections of their own of somebody who believes `ca`, and shows `own`. */
function client(own: Certificate | null = null, ca = authority.ca): Dispatcher {
  const made = connectionsOf(() => readClientIdentity({ ca, cert: own?.cert ?? '', key: own?.key ?? '' }))();
  if (!made.ok) throw new Error(made.error);
  opened.push({ [Symbol.asyncDispose]: () => made.value.destroy() });
  return made.value;
}

interface Asked {
  readonly token?: string;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly of?: Served;
}

async function ask(
  path: string,
  dispatcher: Dispatcher,
  { token, method = 'GET', headers, of = served }: Asked = {},
) {
  const { statusCode, body } = await request(of.url + path, {
    ...{ method, dispatcher },
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(method === 'POST' ? { body: '{}' } : {}),
  });
  const text = await body.text();
  return {
    status: statusCode,
    body: (text.startsWith('{') ? JSON.parse(text) : text) as Record<string, unknown>,
  };
}

/** The common name of the certificate that a new connection is shown. */
function shownNow(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: 'localhost', port: served.port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** What came over `socket` until it was closed, and after how long. */
async function untilClosed(socket: Socket): Promise<{ readonly text: string; readonly ms: number }> {
  const began = performance.now();
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  return { text, ms: performance.now() - began };
}

describe('the server', () => {
  it('answers everything by TLS: reads, health, metrics, the OpenAPI document', async () => {
    const by = client();
    for (const path of ['/livez', '/readyz']) expect(await ask(path, by)).toMatchObject({ status: 200 });
    for (const path of ['/v1/services', '/metrics', '/openapi.json'])
      expect(await ask(path, by, { token: 'static-word' })).toMatchObject({ status: 200 });
  });

  it('speaks TLS 1.2 and 1.3, and nothing older', async () => {
    const spoken = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string> =>
      new Promise((resolve) => {
        const limits = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' };
        const socket = connectTls({
          host: 'localhost',
          port: served.port,
          ca: '',
          rejectUnauthorized: false,
          ...limits,
        });
        socket.once('secureConnect', () => {
          resolve(String(socket.getProtocol()));
          socket.destroy();
        });
        socket.once('error', () => {
          resolve('refused');
        });
      });
    expect([await spoken('TLSv1.1'), await spoken('TLSv1.2'), await spoken('TLSv1.3')]).toEqual([
      ...['refused', 'TLSv1.2', 'TLSv1.3'],
    ]);
  });

  it('resumes no session: each connection is verified anew', async () => {
    interface Ended {
      readonly session: Buffer | undefined;
      readonly reused: boolean;
    }
    const answered = (session?: Buffer): Promise<Ended> =>
      new Promise((resolve, reject) => {
        const again = session === undefined ? {} : { session };
        const socket = connectTls({
          host: 'localhost',
          port: served.port,
          rejectUnauthorized: false,
          ...again,
        });
        let ended: Ended = { session: undefined, reused: true };
        socket.once('secureConnect', () => {
          ended = { session: socket.getSession(), reused: socket.isSessionReused() };
          socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
        });
        socket.once('error', reject);
        socket.on('session', (one: Buffer) => (ended = { ...ended, session: one }));
        socket.resume().once('close', () => {
          resolve(ended);
        });
      });
    const before = await answered();
    expect(before.session).toBeDefined();
    expect(await answered(before.session)).toMatchObject({ reused: false });
  });

  it.each(['GET', 'PATCH', 'DELETE'])(
    'plain HTTP on its port ends at once with 400, and says why: %s',
    async (method) => {
      const sent = askPlain({ host: '127.0.0.1', port: served.port, path: '/v1/services', method });
      const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
        sent.once('error', reject);
        sent.once('response', (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.once('end', () => {
            resolve({ status: response.statusCode, text });
          });
        });
        sent.end();
      });
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text)).toMatchObject({
        code: 'invalid_request',
        detail: expect.stringMatching(/speaks TLS: write https:/),
      });
      expect(await ask('/livez', client())).toMatchObject({ status: 200 });
    },
  );

  it('a handshake that does not come on is ended after some seconds, and nobody waits for it', async () => {
    const slow = Array.from({ length: 20 }, () => connect(served.port, '127.0.0.1'));
    const drip = connect(served.port, '127.0.0.1');
    // The beginning of a ClientHello, a byte at a time.
    using _drops = systemClock.every(200, () => drip.writable && drip.write(Buffer.from([0x16])));
    drip.write(Buffer.from([0x16, 3, 1, 2]));
    const ended = Promise.all([...slow, drip].map(untilClosed));
    await Promise.all(slow.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    const before = performance.now();
    expect(await ask('/livez', client())).toMatchObject({ status: 200 });
    expect(performance.now() - before).toBeLessThan(2_000);
    for (const { ms } of await ended) {
      expect(ms).toBeGreaterThan(HANDSHAKE_MS - 1_000);
      expect(ms).toBeLessThan(HANDSHAKE_MS + 3_000);
    }
  });

  it('closes within 2 s although a handshake and a wait are open', async () => {
    const half = untilClosed(connect(served.port, '127.0.0.1'));
    const waits = ask('/v1/services/shop/convergence?wait=60s', client(), { token: 'static-word' }).catch(
      () => null,
    );
    expect(await ask('/livez', client())).toMatchObject({ status: 200 });
    const before = performance.now();
    await served.api.close();
    expect(performance.now() - before).toBeLessThan(2_000);
    await Promise.all([half, waits]);
  });
});

describe('files that change', () => {
  it('a new pair is shown to new connections; those that are open, a stream among them, stay', async () => {
    plane.releases.map.set('rel-1', makeRelease());
    const stop = new AbortController();
    opened.push({
      [Symbol.asyncDispose]: () => {
        stop.abort();
        return Promise.resolve();
      },
    });
    const stream = await request(`${served.url}/v1/releases/rel-1/events`, {
      headers: { accept: 'text/event-stream', authorization: 'Bearer static-word' },
      ...{ dispatcher: client(), signal: stop.signal },
    });
    let came = '';
    let over = false;
    stream.body.on('data', (chunk: Buffer) => (came += chunk.toString()));
    stream.body.on('error', () => (over = true)).on('end', () => (over = true));
    expect(await shownNow()).toBe('first');
    const { ends } = served.certificate.present;
    install(authority.sign('longer', LOCAL, { days: 9 }));
    await until(() =>
      expect(log.lines).toContainEqual(
        expect.objectContaining({ message: expect.stringMatching(/renewed/) }),
      ),
    );
    expect(await shownNow()).toBe('longer');
    expect(served.certificate.present.ends - ends).toBeGreaterThan(6 * 86_400_000);
    plane.change(() => {
      const event = { n: 2, at: '', event: 'step_begun', by: 'x', message: 'later' } as const;
      plane.releases.eventList = [...plane.releases.eventList, event];
    });
    await until(() => expect(came).toContain('later'));
    expect(over).toBe(false);
  });

  it('a pair that does not fit leaves the old one in force, is logged once and shown as a problem until it fits', async () => {
    copyFileSync(second.cert, files.cert);
    await until(() => expect(served.certificate.problems()).toHaveLength(1));
    expect(served.certificate.problems()).toMatchObject([
      {
        code: 'unusable_certificate',
        field: 'KEY',
        message: expect.stringMatching(/is not the key of the certificate in .*stays in force/),
      },
    ]);
    expect(await shownNow()).toBe('first');
    writeFileSync(files.cert, 'nothing');
    await until(() =>
      expect(served.certificate.problems()).toMatchObject([
        { field: 'CERT', message: expect.stringMatching(/no certificate/) },
      ]),
    );
    expect(log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      ...[expect.stringMatching(/is not the key/), expect.stringMatching(/no certificate in PEM/)],
    ]);
    install(second);
    await until(() => expect(served.certificate.problems()).toEqual([]));
    expect(await shownNow()).toBe('second');
  });

  it('one that has ended does not take the place of a valid one', async () => {
    install(authority.sign('old', LOCAL, { days: -1 }));
    await until(() =>
      expect(served.certificate.problems()).toMatchObject([
        { field: 'CERT', message: expect.stringMatching(/has ended at .*stays in force/) },
      ]),
    );
    expect(await shownNow()).toBe('first');
  });

  it('a certificate in force that has ended is a problem, and one line of the log', async () => {
    await served.api.close();
    served = await serve(plane, { own: authority.sign('ended', LOCAL, { days: -1 }) });
    const ended = { message: expect.stringMatching(/^the certificate of the control API has ended at/) };
    expect(served.certificate.problems()).toMatchObject([{ field: 'end', ...ended }]);
    await expect(ask('/livez', client())).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
    await until(() => expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1));
    install(second);
    await until(() => expect(served.certificate.problems()).toEqual([]));
    expect(await shownNow()).toBe('second');
    expect(log.lines.filter(({ level }) => level === 'error')).toMatchObject([ended]);
  });

  it('of another authority for clients the connections of those who were believed by the old one end, and no others', async () => {
    const open = (own: Certificate | null): Promise<Socket> =>
      new Promise((resolve, reject) => {
        const shown = own === null ? {} : { cert: readFileSync(own.cert), key: readFileSync(own.key) };
        const socket = connectTls({
          host: 'localhost',
          port: served.port,
          rejectUnauthorized: false,
          ...shown,
        });
        opened.push({
          [Symbol.asyncDispose]: () => {
            socket.destroy();
            return Promise.resolve();
          },
        });
        socket.once('error', reject).once('data', () => {
          resolve(socket);
        });
        socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      });
    const [believed, nobody] = [await open(ann), await open(null)];
    copyFileSync(stranger.ca, files.clientCa);
    // One that is only idle would be closed after 15 s.
    expect((await untilClosed(believed)).ms).toBeLessThan(5_000);
    expect(nobody.destroyed).toBe(false);
    const again = new Promise((resolve) => nobody.once('data', resolve));
    nobody.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await again;
    expect(await ask('/v1/whoami', client(ann))).toMatchObject({
      ...{ status: 401, body: { detail: expect.stringMatching(/is not believed \(/) } },
    });
  });
});

describe('who asks, by a client certificate', () => {
  it('is the token that is for its name, until that is revoked; a stream ends with it', async () => {
    plane.releases.map.set('rel-1', makeRelease());
    const by = client(ann);
    expect(await ask('/v1/whoami', by)).toMatchObject({
      ...{ status: 200, body: { name: 'ann', role: 'operator', proof: 'certificate' } },
      // The end of the certificate, since the token has none.
      body: { until: expect.stringMatching(/^20.*Z$/) },
    });
    expect(await ask(DRAIN, by, { method: 'POST' })).toMatchObject({ status: 202 });
    expect(plane.mutated).toMatchObject([{ context: { by: 'ann', origin: { token: 'ann' } } }]);
    expect(await ask('/v1/tokens', by)).toMatchObject({ status: 403 });
    const stream = await request(`${served.url}/v1/releases/rel-1/events`, {
      headers: { accept: 'text/event-stream' },
      dispatcher: by,
    });
    expect(stream.statusCode).toBe(200);
    const ended = new Promise((resolve) => stream.body.on('error', resolve).on('end', resolve));
    stream.body.resume();
    plane.tokens.records.delete('ann');
    await ended;
    expect(await ask('/v1/whoami', by)).toMatchObject({
      ...{
        status: 401,
        body: {
          code: 'unauthorized',
          field: 'certificate',
          detail: expect.stringMatching(/is for "ann", which no token is for/),
        },
      },
    });
  });

  it.each([
    ['of an authority that is not the one for clients', () => stranger.sign('ann'), /is not believed \(/],
    [
      'that has expired',
      () => people.sign('expired', 'DNS:ann', { days: -1 }),
      /is not believed \(CERT_HAS_EXPIRED\)/,
    ],
    ['for another name', () => people.sign('other', 'DNS:bob'), /is for "bob", which no token is for/],
    ['for an address alone', () => people.sign('', 'IP:10.0.0.1'), /names nobody/],
  ])('one %s is 401, and says why; a bearer token with it counts', async (_, sign, detail) => {
    const by = client(sign());
    expect(await ask('/v1/whoami', by)).toMatchObject({
      status: 401,
      body: { code: 'unauthorized', detail: expect.stringMatching(detail) },
    });
    expect(await ask('/livez', by)).toMatchObject({ status: 200 });
    const token = { token: 'static-word' };
    expect(await ask('/v1/whoami', by, token)).toMatchObject({ status: 200, body: { name: 'static' } });
  });

  it('a token that has expired is refused', async () => {
    const old = { name: 'ann', certificate: 'ann', verifier: null, expires: '2020-01-01T00:00:00.000Z' };
    plane.tokens.records.set('ann', buildToken(old));
    expect(await ask('/v1/whoami', client(ann))).toMatchObject({
      status: 401,
      body: { detail: expect.stringMatching(/ann expired at 2020/) },
    });
  });

  it('of token and certificate the token counts, a wrong one too', async () => {
    const { text, id, verifier } = makeToken(randomBytes);
    plane.tokens.records.set('ci', buildToken({ name: 'ci', id, verifier, role: 'viewer' }));
    const by = client(ann);
    expect(await ask('/v1/whoami', by, { token: text })).toMatchObject({
      body: { name: 'ci', proof: 'token' },
    });
    expect(await ask('/v1/whoami', by, { token: 'wrong' })).toMatchObject({
      status: 401,
      body: { detail: expect.stringMatching(/no such token/) },
    });
  });

  it('neither is 401', async () => {
    expect(await ask('/v1/whoami', client())).toMatchObject({
      status: 401,
      body: { field: 'header.authorization' },
    });
  });

  it('no page of another origin asks in its name', async () => {
    const headers = { origin: 'https://evil.example' };
    expect(await ask(DRAIN, client(ann), { method: 'POST', headers })).toMatchObject({ status: 403 });
    expect(plane.mutated).toEqual([]);
  });

  it('where no token is needed, a certificate that proves nobody is refused all the same', async () => {
    const open = await serve(planeOf('leading'), { token: null });
    expect(await ask('/v1/whoami', client(), { of: open })).toMatchObject({
      status: 200,
      body: { role: 'admin' },
    });
    const by = client(people.sign('bob'));
    expect(await ask('/v1/whoami', by, { of: open })).toMatchObject({ status: 401 });
  });
});

describe('a standby by TLS', () => {
  let standby: Served;
  let standbyPlane: MemoryPlane;

  async function follow(address: string, ca = authority.ca): Promise<void> {
    standbyPlane = planeOf('standby');
    standbyPlane.controllerList = [{ id: 'one', role: 'leader', address, version: '1', started_at: '' }];
    standby = await serve(standbyPlane, { ca });
  }
  const drain = (by: Dispatcher, token?: string) =>
    ask(DRAIN, by, { method: 'POST', of: standby, ...(token === undefined ? {} : { token }) });

  it('sends a change with a token on to the leader, whose certificate it verifies', async () => {
    await follow(served.url);
    expect(await drain(client(), 'static-word')).toMatchObject({ status: 202 });
    expect(plane.mutated).toMatchObject([{ context: { by: 'static' } }]);
  });

  it('a client certificate reads here, and is not sent on: the refusal names the leader', async () => {
    await follow(served.url);
    const by = client(ann);
    expect(await ask('/v1/whoami', by, { of: standby })).toMatchObject({
      status: 200,
      body: { name: 'ann' },
    });
    const refused = await drain(by);
    expect(refused).toMatchObject({ status: 503, body: { code: 'not_leader' } });
    expect(refused.body['detail']).toContain(`the leader at ${served.url}`);
    expect(plane.mutated).toEqual([]);
    // Nor does a header make the leader believe it.
    const forged = { 'x-ebbgate-forwarded': '10.0.0.1', 'x-ebbgate-actor': 'ann' };
    expect(await ask(DRAIN, client(), { method: 'POST', headers: forged })).toMatchObject({ status: 401 });
  });

  it.each([
    [
      'an authority that it does not trust',
      () => follow(served.url, stranger.ca),
      /not trusted here \(.*set EBBGATE_API_CA/,
    ],
    [
      'a certificate of another name',
      async () => {
        served = await everywhere();
        await follow(`https://127.0.0.2:${String(served.port)}`);
      },
      /for other names \(.*127\.0\.0\.2.*\)/,
    ],
  ])('sends nothing to a leader with %s', async (_, given, detail) => {
    await given();
    const answer = await drain(client(), 'static-word');
    expect(answer).toMatchObject({
      status: 503,
      body: { code: 'no_leader', detail: expect.stringMatching(detail) },
    });
    expect(answer.body['detail']).toContain('Nothing was changed');
    expect(plane.mutated).toEqual([]);
  });
});

/** The API of the leader on every address. */
async function everywhere(): Promise<Served> {
  const { certificate } = served;
  const api = createApi({
    ...{ plane, log, token: 'static-word', clock: systemClock, version: '1', certificate },
    ...{ listen: { host: '0.0.0.0', port: 0 }, randomId: () => 'req-1', randomBytes },
    metrics: () => Promise.resolve(''),
  });
  opened.push(api);
  await api.start();
  const { port } = api.address();
  return { api, port, url: `https://localhost:${String(port)}`, certificate };
}

it('an authority that is changed in its file counts for connections that are made from then on', async () => {
  const ca = join(dir, 'believed.pem');
  copyFileSync(stranger.ca, ca);
  const connections = connectionsOf(() => readClientIdentity({ ca, cert: '', key: '' }));
  const livez = async (): Promise<number> => {
    const by = connections();
    if (!by.ok) throw new Error(by.error);
    return (await request(`${served.url}/livez`, { dispatcher: by.value })).statusCode;
  };
  await expect(livez()).rejects.toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/) });
  copyFileSync(authority.ca, ca);
  expect(await livez()).toBe(200);
  expect(connections()).toEqual(connections());
  writeFileSync(ca, 'nothing');
  expect(connections()).toEqual({ ok: false, error: `${ca} has no certificate in PEM` });
});
