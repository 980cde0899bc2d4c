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
import { providerContract } from '../testing/provider.contract.js';
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
  const link = newLink(to, sessionTimeoutMs);
  const registration = newRegistration(link);
  opened.push(link, registration);
  await link.start();
  await registration.start();
  return { link, registration };
}

function newLink(to: number, sessionTimeoutMs: number): ZooKeeperLink {
  return new ZooKeeperLink({
    connect: `127.0.0.1:${to}`,
    sessionTimeoutMs,
    connectTimeoutMs: 1_000,
    log,
    clock,
    random: Math.random,
  });
}

function newRegistration(link: ZooKeeperLink): ProviderRegistration {
  return createProviderRegistration({ link, root: ROOT, service, node: 'a', check: flawOfProvider });
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

providerContract('ZooKeeper', () => {
  const registrant = async (session: 'short' | 'long') => {
    const door = await startTcpProxy(port);
    const link = newLink(door.port, session === 'short' ? 1_000 : 30_000);
    await link.start();
    return {
      registration: newRegistration(link),
      connect: (mode: 'pass' | 'away') => {
        door.setMode(mode === 'away' ? 'cut' : 'pass');
      },
      close: async () => {
        await link.close();
        await door.close();
      },
    };
  };
  return Promise.resolve({
    registrant,
    read: async () => ((await readData()) ?? null) as ProviderData | null,
    remove: () => observer.remove(path(), -1),
    close: () => Promise.resolve(),
  });
});

test('the node is of the session, is written in place, and is another one after the session', async () => {
  const { registration, link } = await start(proxy.port);
  await registration.set(data({ version: 'v1' }));
  const first = await read();
  expect(first?.stat.ephemeralOwner).toBe(link.connection?.sessionId);
  await registration.set(data({ version: 'v1', leaving: true }));
  expect((await read())?.stat.czxid).toBe(first?.stat.czxid);
  proxy.setMode('swallow');
  await until(async () => {
    expect(await read()).toBeUndefined();
  });
  const waiting = registration.set(data());
  proxy.setMode('pass');
  await waiting;
  expect((await read())?.stat.ephemeralOwner).toBe(link.connection?.sessionId);
  expect((await read())?.stat.czxid).not.toBe(first?.stat.czxid);
});

test('that another instance has the id is logged, once', async () => {
  const other = await start();
  await other.registration.set(data({ host: '10.0.0.2' }));
  const { registration } = await start();
  await expect(registration.set(data(), AbortSignal.timeout(700))).rejects.toThrow();
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
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

test('what cannot be named or is not valid throws', async () => {
  const { registration, link } = await start(port, 30_000);
  await registration.set(data());
  await expect(registration.set(data({ host: 'localhost' }))).rejects.toThrow(/host/);
  expect(await readData()).toEqual(data());
  const options = { link, root: ROOT, check: flawOfProvider };
  expect(() => createProviderRegistration({ ...options, service: 'a/b', node: 'a' })).toThrow(/service/);
  expect(() => createProviderRegistration({ ...options, service: 'shop', node: '..' })).toThrow(/id/);
});
