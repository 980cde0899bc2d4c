import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACL, Id, Permission } from 'node-zookeeper-client';
import * as zookeeper from 'node-zookeeper-client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { createRecordingLog } from '../testing/log.js';
import { createPath } from './create_path.js';
import type { ZooKeeperConnection } from './connection.js';
import { ZooKeeperLink } from './link.js';
import { createZooKeeperProbe } from './write_probe.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-zk-probe-'));
let server: LocalProcess;
let link: ZooKeeperLink;
/** A person with zkCli. */
let person: zookeeper.Client;
let roots = 0;

beforeAll(async () => {
  const port = await reservePort();
  server = await launchZooKeeper({ dir, port });
  link = new ZooKeeperLink({
    connect: `127.0.0.1:${port}`,
    sessionTimeoutMs: 6_000,
    log: createRecordingLog(),
    clock: systemClock,
    random: Math.random,
  });
  await link.start();
  person = zookeeper.createClient(`127.0.0.1:${port}`);
  person.connect();
  await vi.waitFor(() => {
    expect(link.connection).not.toBeNull();
  }, 20_000);
});
afterAll(async () => {
  person.close();
  await link.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});

/** A root of its own with these places in it. */
async function rootWith(...places: readonly string[]): Promise<string> {
  const root = `/probe-${String(roots++)}`;
  for (const place of places) {
    const made = await createPath(link.connection as ZooKeeperConnection, `${root}/${place}`);
    expect(made.ok).toBe(true);
  }
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
    const children = await (link.connection as ZooKeeperConnection).getChildren(`${root}/${place}`);
    expect(children).toMatchObject({ ok: true, value: { names: [] } });
  }
  const epoch = await (link.connection as ZooKeeperConnection).getData(`${root}/epoch`);
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
