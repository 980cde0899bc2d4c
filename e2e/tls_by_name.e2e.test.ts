import { copyFileSync, mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../control-plane/src/testkit.js';
import { Authority, type Certificate } from './harness/certificates.js';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { openRawClient } from './harness/raw.js';
import { until, untilValue } from './harness/until.js';
import { Workbench } from './harness/workbench.js';

/*
 * A folder of certificates: each client is shown the one for the name that it asks for, and a renewed one without a reload.
 */

let bench: Workbench;
let authority: Authority;
let instance: Instance;
let folder: string;
let port: number;
let workers: readonly number[];

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-e2e-'));
  folder = join(dir, 'certificates');
  mkdirSync(folder);
  authority = new Authority(dir, 'ca');
  const listener = authority.sign('default.test');
  put('a', authority.sign('a.test', 'DNS:a.test,DNS:www.a.test', { days: 100 }));
  put('wild', authority.sign('wild.test', 'DNS:*.wild.test', { days: 100 }));
  mkdirSync(join(folder, 'by-folder'));
  const inFolder = authority.sign('b.test', 'DNS:b.test', { days: 100 });
  copyFileSync(inFolder.cert, join(folder, 'by-folder/fullchain.pem'));
  copyFileSync(inFolder.key, join(folder, 'by-folder/privkey.pem'));
  port = await reservePort();
  bench = await Workbench.start((place) => ({
    listen: [
      `127.0.0.1:${String(place.port)}`,
      `127.0.0.1:${String(port)},cert=${listener.cert},key=${listener.key},http2`,
    ],
    certificates: folder,
    redirect_https: port,
    trusted_proxies: ['127.0.0.2/32'],
  }));
  instance = await startInstance({ service: 'shop' });
  await bench.serve('shop', [peer(instance)]);
  workers = bench.gateway.workers();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await instance.stop();
  rmSync(authority.dir, { recursive: true, force: true });
});

/** Puts a pair into the folder, one file after the other, as whoever renews it does. */
function put(stem: string, { cert, key }: Certificate): void {
  copyFileSync(key, join(folder, `${stem}.key`));
  copyFileSync(cert, join(folder, `${stem}.pem`));
}

/** What a client that asks for `name` is shown; it believes nobody. */
function shown(name: string | undefined): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        ...{ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] },
        ...(name === undefined ? {} : { servername: name }),
      },
      () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}
const commonName = async (name?: string): Promise<string> => String((await shown(name)).subject.CN);
const problems = async (): Promise<readonly { readonly kind: string; readonly reason: string }[]> =>
  (await bench.publishing.heartbeat('gw-1'))?.problems ?? [];
const metrics = async (): Promise<string> => (await bench.admin('/metrics')).text;

test.each([
  ['a.test', 'a.test'],
  ['A.TEST', 'a.test'],
  ['www.a.test', 'a.test'],
  ['x.wild.test', 'wild.test'],
  ['wild.test', 'default.test'],
  ['y.x.wild.test', 'default.test'],
  ['b.test', 'b.test'],
  ['nobody.test', 'default.test'],
  [undefined, 'default.test'],
])('%s is shown the certificate of %s', async (asked, expected) => {
  expect(await commonName(asked)).toBe(expected);
});

test('when each ends is in the metrics, and none of them is a problem', async () => {
  const text = await metrics();
  for (const name of ['a.test', 'www.a.test', '*.wild.test', 'b.test']) {
    const ends = Number(
      new RegExp(
        `^ebbgate_certificate_expiry_timestamp_seconds\\{name="${name.replace('*', '\\*')}"\\} (\\d+)`,
        'm',
      ).exec(text)?.[1],
    );
    expect(Math.abs(ends - Date.now() / 1_000 - 100 * 86_400)).toBeLessThan(300);
  }
  expect(text).toContain('ebbgate_problem{kind="certificate"} 0');
});

test('renewed it is in force on every worker, without a reload and without a failed handshake', async () => {
  const before = (await shown('a.test')).serialNumber;
  put('a', authority.sign('a.test', 'DNS:a.test', { days: 50 }));
  await until('each of some handshakes shows the new one', async () => {
    const serials = await Promise.all(Array.from({ length: 8 }, () => shown('a.test')));
    return serials.every(({ serialNumber }) => serialNumber !== before);
  });
  // The name that it has no more is that of the listener again.
  expect(await commonName('www.a.test')).toBe('default.test');
  expect(bench.gateway.workers()).toEqual(workers);
});

test('what cannot be used changes nothing, and is a problem that names the file', async () => {
  const stranger = authority.sign('other.test', 'DNS:a.test', { days: 100 });
  const before = (await shown('a.test')).serialNumber;
  for (const [break_, reason] of [
    [(): void => writeFileSync(join(folder, 'a.pem'), 'no certificate'), /a\.pem: it has no certificate/],
    [(): void => copyFileSync(stranger.cert, join(folder, 'a.pem')), /a\.pem: its key belongs to another/],
    [(): void => unlinkSync(join(folder, 'a.key')), /a\.key: No such file/],
  ] as const) {
    break_();
    await untilValue('the problem', problems, (list) =>
      list.some((one) => one.kind === 'certificate' && reason.test(one.reason)),
    );
    expect((await shown('a.test')).serialNumber).toBe(before);
  }
  put('a', authority.sign('a.test', 'DNS:a.test', { days: 5 }));
  await untilValue('that it ends soon', problems, (list) =>
    list.some(({ reason }) => /certificate of a\.test ends in [45] days/.test(reason)),
  );
  unlinkSync(join(folder, 'a.pem'));
  unlinkSync(join(folder, 'a.key'));
  await untilValue('no problem', problems, (list) => list.length === 0);
  expect(await commonName('a.test')).toBe('default.test');
});

test('who comes without TLS is sent to https, with path and query', async () => {
  const https = `https://shop.test:${String(port)}`;
  const ask = async (target: string, ...lines: readonly string[]): Promise<string> => {
    const client = await openRawClient(bench.place.port);
    client.send(
      [`GET ${target} HTTP/1.1`, 'Host: shop.test', ...lines, 'Connection: close', '', ''].join('\r\n'),
    );
    await client.closed();
    const location = /^location: (.*)\r$/im.exec(client.text)?.[1] ?? '';
    return `${/^HTTP\/1.1 (\d+)/.exec(client.text)?.[1] ?? ''} ${location}`;
  };
  expect(await ask('/a/b%2Fc?q=1&r=//x')).toBe(`308 ${https}/a/b%2Fc?q=1&r=//x`);
  expect(await ask('//evil.test/..')).toBe(`308 ${https}//evil.test/..`);
  expect(await ask('http://shop.test/x')).toBe(`308 ${https}/x`);
  // A client that nobody trusts does not talk its way around it; who proves to an authority that the host is his, does.
  expect(await ask('/', 'X-Forwarded-Proto: https')).toBe(`308 ${https}/`);
  expect(await ask('/.well-known/acme-challenge/token')).toBe('200 ');
  expect(await ask('/.well-known/acme-challenge/../../x')).toBe(
    `308 ${https}/.well-known/acme-challenge/../../x`,
  );
  const proxy = new Agent({ localAddress: '127.0.0.2' });
  for (const [proto, expected] of [
    ['https', 200],
    ['wss', 200],
    ['http', 308],
  ] as const) {
    const headers = { host: 'shop.test', 'x-forwarded-proto': proto };
    const { statusCode, body } = await request(bench.gateway.url, { dispatcher: proxy, headers });
    await body.dump();
    expect([proto, statusCode]).toEqual([proto, expected]);
  }
  await proxy.close();
});
