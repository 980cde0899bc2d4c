import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import type { Clock } from '../model/ports.js';
import { err } from '../model/result.js';
import { consumersContract } from '../testing/consumers.contract.js';
import { startKazoo, type KazooRegistrant } from '../testing/foreign_registrants.js';
import { must } from '../testing/must.js';
import { startTcpProxy } from '../testing/tcp_proxy.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import type { ZooKeeperConnection } from './connection.js';
import { CHECK_MS, createConsumers } from './consumers.js';
import { createPath } from './create_path.js';

const zk = useZooKeeper();
let writer: ZooKeeperConnection;
/** Sets who may write what. */
let kazoo: KazooRegistrant;

beforeAll(async () => {
  kazoo = await startKazoo(zk.port);
});
afterAll(() => kazoo.close());
beforeEach(async () => {
  writer = await zk.connection();
});

async function open(used: Clock = clock) {
  const root = zk.path('consumed');
  const proxy = zk.open(await startTcpProxy(zk.port));
  const link = await zk.connectedLink({ to: proxy.port, connectTimeoutMs: 1_000, clock: used });
  const consumers = zk.open(createConsumers(link, { root, node: { id: 'c1', host: 'h1' } }));
  return { root, proxy, link, consumers };
}

async function namesBelow(path: string): Promise<readonly string[]> {
  const read = await writer.getChildren(path);
  return read.ok ? read.value.names : [];
}

consumersContract('ZooKeeper', async () => {
  const { root, proxy, consumers } = await open();
  const folder = (service: string): string => `${root}/${service}/consumers`;
  return {
    consumers: () => consumers,
    connect: (mode) => {
      proxy.setMode(mode === 'away' ? 'cut' : 'pass');
    },
    create: (service) => must(createPath(writer, `${root}/${service}`)),
    allow: async (service, may) => {
      await must(createPath(writer, folder(service)));
      await kazoo.protect(folder(service), may ? 'open' : 'read_only');
    },
    services: () => namesBelow(root),
    registered: async () => {
      const found: string[] = [];
      for (const service of await namesBelow(root))
        if ((await namesBelow(folder(service))).includes('c1')) found.push(service);
      return found;
    },
    close: () => Promise.resolve(),
  };
});

test('the node is of the session that is there, over lost connections too, and says who it is', async () => {
  const { root, link, consumers } = await open();
  await must(createPath(writer, `${root}/a`));
  await consumers.start();
  consumers.follow(['a']);
  const node = async () => {
    const { data, stat } = await must(writer.getData(`${root}/a/consumers/c1`));
    expect(data.toString()).toBe('{"id":"c1","host":"h1"}');
    expect(stat.ephemeralOwner).toBe(link.connection?.sessionId);
    return stat.ephemeralOwner;
  };
  await until(node);
  const first = await node();
  // The old session's node is still there when the new one comes.
  link.connection?.kill('a test');
  await until(async () => expect(await node()).not.toBe(first));
  await until(() => expect(link.state().state).toBe('connected'));
});

test.each(['lists what a session owns', 'does not list what a session owns'])(
  'a node that somebody deleted is there again after the next check; a server that %s',
  async (kind) => {
    const checks: (() => void)[] = [];
    const { root, link, consumers } = await open({
      ...clock,
      every: (ms, run) => {
        if (ms !== CHECK_MS) return clock.every(ms, run);
        checks.push(run);
        return { stop: () => undefined, [Symbol.dispose]: () => undefined };
      },
    });
    for (const service of ['a', 'b']) await must(createPath(writer, `${root}/${service}`));
    await consumers.start();
    consumers.follow(['a', 'b']);
    const isThere = async () => {
      for (const service of ['a', 'b']) await must(writer.getData(`${root}/${service}/consumers/c1`));
    };
    await until(isThere);
    const { connection } = link;
    if (connection !== null && kind.startsWith('does not'))
      connection.ephemerals = () => Promise.resolve(err({ kind: 'unimplemented', message: '', zxid: '' }));
    await must(writer.remove(`${root}/a/consumers/c1`, -1));
    await until(async () => {
      for (const check of checks) check(); // it does nothing while it still works
      await isThere();
    });
  },
);
