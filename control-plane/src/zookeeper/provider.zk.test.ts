import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import type { Lifecycle, ProviderData, ProviderRegistration } from '../model/ports.js';
import { createRecordingLog, type RecordingLog } from '../testing/log.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { connect, type ZooKeeperConnection } from './connection.js';
import { ZooKeeperLink } from './link.js';
import { flawOfProvider } from '../registry/provider_data.js';
import { createProviderRegistration } from './provider.js';
import type { ReadNode, WatchEvent } from './protocol.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-zk-provider-'));
const RETRY_LATER = { timeout: 30_000, interval: 10 };
const ROOT = '/services';
let port: number;
let server: LocalProcess;
let proxy: TcpProxy;
let log: RecordingLog;
let observer: ZooKeeperConnection;
let opened: Lifecycle[] = [];
let services = 0;
let service: string;

beforeAll(async () => {
  port = await reservePort();
  server = await launchZooKeeper({ dir, port });
});

afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  service = `shop-${services++}`;
  log = createRecordingLog();
  proxy = await startTcpProxy(port);
  const options = { sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000, clock };
  const result = await connect({ ...options, server: { host: '127.0.0.1', port } });
  if (!result.ok) throw new Error(result.error);
  observer = result.value;
});

afterEach(async () => {
  server.kill('SIGCONT');
  for (const one of opened.toReversed()) await one.close();
  opened = [];
  await proxy.close();
  await observer.close();
});

interface Registrar {
  readonly link: ZooKeeperLink;
  readonly registration: ProviderRegistration;
}

async function start(to = port, sessionTimeoutMs = 1_000): Promise<Registrar> {
  const link = new ZooKeeperLink({
    connect: `127.0.0.1:${to}`,
    sessionTimeoutMs,
    connectTimeoutMs: 1_000,
    log,
    clock,
    random: Math.random,
  });
  const registration = createProviderRegistration({
    link,
    root: ROOT,
    service,
    node: 'a',
    check: flawOfProvider,
  });
  opened.push(link, registration);
  await link.start();
  await registration.start();
  return { link, registration };
}

const data = (over: Partial<ProviderData> = {}): ProviderData => ({
  id: 'a',
  host: '10.0.0.1',
  port: 80,
  ...over,
});
const until = (condition: () => void | Promise<void>): Promise<void> => vi.waitFor(condition, RETRY_LATER);
const path = (): string => `${ROOT}/${service}/providers/a`;

async function read(): Promise<ReadNode | undefined> {
  const answer = await observer.getData(path());
  return answer.ok ? answer.value : undefined;
}
async function readData(): Promise<unknown> {
  const node = await read();
  return node && (JSON.parse(node.data.toString()) as unknown);
}

test('a provider registers, changes in place, says that it leaves, and withdraws', async () => {
  const { registration, link } = await start();
  await registration.set(data({ version: 'v1' }));
  expect(await readData()).toEqual(data({ version: 'v1' }));
  const first = await read();
  expect(first?.stat.ephemeralOwner).toBe(link.connection?.sessionId);
  await registration.set(data({ version: 'v1', leaving: true }));
  expect(await readData()).toEqual(data({ version: 'v1', leaving: true }));
  expect((await read())?.stat.czxid).toBe(first?.stat.czxid);
  await registration.withdraw();
  expect(await read()).toBeUndefined();
  await registration.withdraw();
});

test('withdrawing what was never there needs no server', async () => {
  const { registration } = await start(await reservePort());
  await registration.withdraw();
});

test('what is set while the server is away is written once it is back; a signal ends the waiting', async () => {
  proxy.setMode('cut');
  const { registration } = await start(proxy.port);
  await expect(registration.set(data({ weight: 1 }), AbortSignal.timeout(50))).rejects.toThrow(/timeout/i);
  await expect(registration.set(data({ weight: 2 }), AbortSignal.abort())).rejects.toThrow(/abort/i);
  const waiting = registration.set(data({ weight: 3 }));
  proxy.setMode('pass');
  await waiting;
  expect(await readData()).toEqual(data({ weight: 3 }));
});

test('an expired session is followed by the same registration, with the newest intent', async () => {
  const { registration, link } = await start(proxy.port);
  await registration.set(data());
  const first = await read();
  proxy.setMode('swallow');
  await until(async () => {
    expect(await read()).toBeUndefined();
  });
  const waiting = registration.set(data({ leaving: true }));
  proxy.setMode('pass');
  await waiting;
  expect(await readData()).toEqual(data({ leaving: true }));
  expect((await read())?.stat.ephemeralOwner).toBe(link.connection?.sessionId);
  expect((await read())?.stat.czxid).not.toBe(first?.stat.czxid);
});

test('a lost connection is made good before the old session ends, and nobody sees the node missing', async () => {
  const { registration, link } = await start(port, 30_000);
  await registration.set(data());
  const events: WatchEvent[] = [];
  observer.onEvent((event) => events.push(event));
  await observer.addTreeWatch(path());
  const before = await read();
  link.connection?.kill('a test');
  await until(async () => {
    expect((await read())?.stat.ephemeralOwner).not.toBe(before?.stat.ephemeralOwner);
  });
  expect(await readData()).toEqual(data());
  // One transaction: the watch reports both, and no read falls between them.
  expect(events.map(({ type }) => type)).toEqual(['deleted', 'created']);
});

test('a registrar that was killed and started again takes its node over at once', async () => {
  const killed = await start(proxy.port, 30_000);
  await killed.registration.set(data({ version: 'v1', leaving: true }));
  proxy.setMode('swallow'); // its session lives on at the server
  const again = await start();
  await again.registration.set(data({ version: 'v2' }));
  expect(await readData()).toEqual(data({ version: 'v2' }));
  expect((await read())?.stat.ephemeralOwner).toBe(again.link.connection?.sessionId);
});

test('another instance of the same id is not thrown out; its end is waited for', async () => {
  const other = await start();
  await other.registration.set(data({ host: '10.0.0.2' }));
  const { registration } = await start();
  await expect(registration.set(data(), AbortSignal.timeout(700))).rejects.toThrow();
  expect(await readData()).toEqual(data({ host: '10.0.0.2' }));
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  const waiting = registration.set(data());
  await other.registration.withdraw();
  await waiting;
  expect(await readData()).toEqual(data());
});

test('two registrars of one instance do not fight', async () => {
  const first = await start();
  await first.registration.set(data({ zone: 'first' }));
  const second = await start();
  await second.registration.set(data({ zone: 'second' }));
  await until(() => {
    expect(log.lines.some(({ level }) => level === 'error')).toBe(true);
  });
  expect(await readData()).toEqual(data({ zone: 'second' }));
  await second.registration.withdraw();
  await until(async () => {
    expect(await readData()).toEqual(data({ zone: 'first' }));
  });
});

test('a node deleted by hand comes back', async () => {
  const { registration } = await start();
  await registration.set(data());
  await observer.remove(path(), -1);
  await until(async () => {
    expect(await readData()).toEqual(data());
  });
});

test('a frozen server does not lose the registration', async () => {
  const { registration } = await start();
  await registration.set(data());
  server.kill('SIGSTOP');
  const waiting = registration.set(data({ ready: false }));
  await until(() => {
    expect(log.lines.some(({ message }) => message === 'ZooKeeper lost')).toBe(true);
  });
  server.kill('SIGCONT');
  await waiting;
  await until(async () => {
    expect(await readData()).toEqual(data({ ready: false }));
  });
});

test('close takes the node away; what cannot be named or is not valid throws', async () => {
  const { registration, link } = await start(port, 30_000);
  await registration.set(data());
  await expect(registration.set(data({ weight: -1 }))).rejects.toThrow(/weight/);
  await expect(registration.set(data({ host: 'localhost' }))).rejects.toThrow(/host/);
  expect(await readData()).toEqual(data());
  await registration.close();
  expect(await read()).toBeUndefined();
  const options = { link, root: ROOT, check: flawOfProvider };
  expect(() => createProviderRegistration({ ...options, service: 'a/b', node: 'a' })).toThrow(/service/);
  expect(() => createProviderRegistration({ ...options, service: 'shop', node: '..' })).toThrow(/id/);
});
