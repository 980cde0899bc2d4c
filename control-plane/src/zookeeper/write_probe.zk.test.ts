import { ACL, Id, Permission } from 'node-zookeeper-client';
import * as zookeeper from 'node-zookeeper-client';
import { beforeEach, expect, test } from 'vitest';
import { must } from '../testing/must.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createPath } from './create_path.js';
import type { ZooKeeperConnection } from './connection.js';
import type { ZooKeeperLink } from './link.js';
import { createZooKeeperProbe } from './write_probe.js';

const zk = useZooKeeper();
let link: ZooKeeperLink;
let writer: ZooKeeperConnection;
/** A person with zkCli. */
let person: zookeeper.Client;

beforeEach(async () => {
  link = await zk.connectedLink();
  writer = await zk.connection();
  person = zk.open(zookeeper.createClient(`127.0.0.1:${String(zk.port)}`));
  person.connect();
});

/** A root of its own with these places in it. */
async function rootWith(...places: readonly string[]): Promise<string> {
  const root = zk.path('probe');
  for (const place of places) await must(createPath(writer, `${root}/${place}`));
  return root;
}

/** Lets nobody do more than read there. */
function readOnly(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const acl = [new ACL(Permission.READ, new Id('world', 'anyone'))];
    person.setACL(path, acl, -1, (error) => {
      if (error) reject(new Error(String(error)));
      else resolve();
    });
  });
}

test('everything may be written: null, and nothing was', async () => {
  const root = await rootWith('intents', 'gateways', 'releases', 'epoch');
  const probe = createZooKeeperProbe(link, { root });
  expect(await probe()).toBeNull();
  for (const place of ['intents', 'gateways', 'releases']) {
    const children = await writer.getChildren(`${root}/${place}`);
    expect(children).toMatchObject({ ok: true, value: { names: [] } });
  }
  const epoch = await writer.getData(`${root}/epoch`);
  expect(epoch).toMatchObject({ ok: true, value: { stat: { version: 0 } } });
});

test('what was never written to refuses nothing', async () => {
  expect(await createZooKeeperProbe(link, { root: await rootWith('epoch') })()).toBeNull();
  expect(await createZooKeeperProbe(link, { root: '/nobody-was-here' })()).toBeNull();
});

test.each(['intents', 'gateways', 'releases', 'epoch'])(
  '%s may only be read: the reason names it',
  async (place) => {
    const root = await rootWith('intents', 'gateways', 'releases', 'epoch');
    await readOnly(`${root}/${place}`);
    expect(await createZooKeeperProbe(link, { root })()).toMatch(
      new RegExp(`^${root}/${place}.*no auth`, 'i'),
    );
  },
);
