import { must } from '../testing/must.js';
import { removeBelow } from '../testing/remove_below.js';
import { truthContract, type Truth } from '../testing/truth.contract.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createOffice } from './epoch.js';
import { createFreezeStore } from './freezes.js';
import { createHistoryStore } from './histories.js';
import { createIntentStore } from './intents.js';
import { createReleaseStore } from './releases.js';
import { createRosterStore } from './roster.js';
import { createApiConsumerStore } from './api_consumers.js';
import { createTokenStore } from './tokens.js';

const zk = useZooKeeper();
let candidates = 0;

truthContract('ZooKeeper', async (): Promise<Truth> => {
  const root = zk.path('truth');
  const writer = await zk.connection();
  const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
  return {
    office: () => createOffice(link, { root, owner: `candidate-${String((candidates += 1))}` }),
    open: () => ({
      intents: createIntentStore(link, { root }),
      histories: createHistoryStore(link, { root }),
      roster: createRosterStore(link, { root }),
      freezes: createFreezeStore(link, { root }),
      releases: createReleaseStore(link, { root }),
      tokens: createTokenStore(link, { root }),
      apiConsumers: createApiConsumerStore(link, { root }),
    }),
    damage: async (store, name) => {
      await must(writer.setData(store.pathOf(name), Buffer.from('{'), -1));
    },
    wipe: async () => {
      for (const folder of ['intents', 'history', 'gateways', 'global', 'releases', 'tokens', 'consumers'])
        await removeBelow(writer, `${root}/${folder}`);
    },
    close: () => Promise.resolve(),
  };
});
