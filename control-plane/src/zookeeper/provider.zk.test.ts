import { beforeEach, expect, test } from 'vitest';
import type { ProviderData, ProviderRegistration } from '../model/ports.js';
import { providerContract } from '../testing/provider.contract.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import type { ZooKeeperConnection } from './connection.js';
import type { ZooKeeperLink } from './link.js';
import { flawOfProvider } from '../registry/provider_data.js';
import { createProviderRegistration } from './provider.js';
import type { ReadNode, WatchEvent } from './protocol.js';

const ROOT = '/services';
const zk = useZooKeeper();
let proxy: TcpProxy;
let observer: ZooKeeperConnection;
let service: string;

beforeEach(async () => {
  service = zk.path('shop').slice(1);
  observer = await zk.connection();
  proxy = zk.open(await startTcpProxy(zk.port));
});

interface Registrar {
  readonly link: ZooKeeperLink;
  readonly registration: ProviderRegistration;
}

async function start(to = zk.port, sessionTimeoutMs = 1_000): Promise<Registrar> {
  const link = zk.link({ to, sessionTimeoutMs, connectTimeoutMs: 1_000 });
  const registration = zk.open(newRegistration(link));
  await link.start();
  await registration.start();
  return { link, registration };
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
    const door = zk.open(await startTcpProxy(zk.port));
    const sessionTimeoutMs = session === 'short' ? 1_000 : 30_000;
    const link = zk.link({ to: door.port, sessionTimeoutMs, connectTimeoutMs: 1_000 });
    await link.start();
    return {
      registration: newRegistration(link),
      connect: (mode: 'pass' | 'away') => {
        door.setMode(mode === 'away' ? 'cut' : 'pass');
      },
      close: () => Promise.resolve(),
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
  expect(zk.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
});

test('a lost connection is made good before the old session ends, and nobody sees the node missing', async () => {
  const { registration, link } = await start(zk.port, 30_000);
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
  await zk.freeze();
  const waiting = registration.set(data({ ready: false }));
  await until(() => {
    expect(zk.log.lines.some(({ message }) => message === 'ZooKeeper lost')).toBe(true);
  });
  zk.server.kill('SIGCONT');
  await waiting;
  await until(async () => {
    expect(await readData()).toEqual(data({ ready: false }));
  });
});

test('what cannot be named or is not valid throws', async () => {
  const { registration, link } = await start(zk.port, 30_000);
  await registration.set(data());
  await expect(registration.set(data({ host: 'localhost' }))).rejects.toThrow(/host/);
  expect(await readData()).toEqual(data());
  const options = { link, root: ROOT, check: flawOfProvider };
  expect(() => createProviderRegistration({ ...options, service: 'a/b', node: 'a' })).toThrow(/service/);
  expect(() => createProviderRegistration({ ...options, service: 'shop', node: '..' })).toThrow(/id/);
});
