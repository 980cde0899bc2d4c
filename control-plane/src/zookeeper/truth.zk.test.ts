import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { createRecordingLog } from '../testing/log.js';
import { removeBelow } from '../testing/remove_below.js';
import { truthContract, type Truth } from '../testing/truth.contract.js';
import { connect } from './connection.js';
import { createOffice } from './epoch.js';
import { createFreezeStore } from './freezes.js';
import { createHistoryStore } from './histories.js';
import { createIntentStore } from './intents.js';
import { ZooKeeperLink } from './link.js';
import { createReleaseStore } from './releases.js';
import { createRosterStore } from './roster.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-zk-truth-'));
let port: number;
let server: LocalProcess;
let made = 0;

beforeAll(async () => {
  port = await reservePort();
  server = await launchZooKeeper({ dir, port });
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true });
});

truthContract('ZooKeeper', async (): Promise<Truth> => {
  const root = `/truth-${String((made += 1))}`;
  const shared = { sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000, clock };
  const writer = await connect({ ...shared, server: { host: '127.0.0.1', port } });
  if (!writer.ok) throw new Error(writer.error);
  const log = createRecordingLog();
  const link = new ZooKeeperLink({ connect: `127.0.0.1:${port}`, ...shared, log, random: Math.random });
  await link.start();
  await vi.waitFor(() => {
    if (link.connection === null) throw new Error('not connected');
  });
  return {
    office: () => createOffice(link, { root, owner: `candidate-${String((made += 1))}` }),
    open: () => ({
      intents: createIntentStore(link, { root }),
      histories: createHistoryStore(link, { root }),
      roster: createRosterStore(link, { root }),
      freezes: createFreezeStore(link, { root }),
      releases: createReleaseStore(link, { root }),
    }),
    damage: async (store, name) => {
      const written = await writer.value.setData(store.pathOf(name), Buffer.from('{'), -1);
      if (!written.ok) throw new Error(written.error.message);
    },
    wipe: async () => {
      for (const folder of ['intents', 'history', 'gateways', 'global', 'releases'])
        await removeBelow(writer.value, `${root}/${folder}`);
    },
    close: async () => {
      await link.close();
      await writer.value.close();
    },
  };
});
