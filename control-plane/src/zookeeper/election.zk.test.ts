import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { electionContract } from '../testing/election.contract.js';
import { createRecordingLog } from '../testing/log.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { connect, type ZooKeeperConnection } from './connection.js';
import { createElection } from './election.js';
import { ZooKeeperLink } from './link.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-zk-election-'));
let port: number;
let server: LocalProcess;
let person: ZooKeeperConnection;
let roots = 0;

beforeAll(async () => {
  port = await reservePort();
  server = await launchZooKeeper({ dir, port });
  const opened = await connect({
    ...{ server: { host: '127.0.0.1', port }, sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000, clock },
  });
  if (!opened.ok) throw new Error(opened.error);
  person = opened.value;
});
afterAll(async () => {
  await person.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});

electionContract('ZooKeeper', () => {
  roots += 1;
  const root = `/election-${String(roots)}`;
  const ends: { readonly link: ZooKeeperLink; readonly proxy: TcpProxy }[] = [];
  return Promise.resolve({
    join: async (controller) => {
      const proxy = await startTcpProxy(port);
      const link = new ZooKeeperLink({
        ...{ connect: `127.0.0.1:${String(proxy.port)}`, sessionTimeoutMs: 1_000, connectTimeoutMs: 1_000 },
        ...{ log: createRecordingLog(), clock, random: Math.random },
      });
      ends.push({ link, proxy });
      await link.start();
      const election = createElection(link, { root, guid: `guid-${controller.id}`, controller });
      return {
        election,
        connect: (mode) => {
          proxy.setMode(mode === 'away' ? 'swallow' : 'pass');
        },
      };
    },
    remove: async ({ id }) => {
      const places = await person.getChildren(`${root}/controllers`);
      for (const name of places.ok ? places.value.names : [])
        if (name.startsWith(`guid-${id}-`)) await person.remove(`${root}/controllers/${name}`, -1);
    },
    close: async () => {
      for (const { link, proxy } of ends) {
        await link.close();
        await proxy.close();
      }
    },
  });
});
