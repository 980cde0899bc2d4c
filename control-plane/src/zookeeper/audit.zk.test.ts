import { auditContract } from '../testing/audit.contract.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createAuditStore } from './audit.js';
import { createOffice } from './epoch.js';
import { createIntentStore } from './intents.js';
import { createRosterStore } from './roster.js';

const zk = useZooKeeper();
let candidates = 0;

auditContract('ZooKeeper', async () => {
  const root = zk.path('audit');
  const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
  return {
    office: () => createOffice(link, { root, owner: `candidate-${String((candidates += 1))}` }),
    open: async (bounds) => {
      const own = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
      const audit = createAuditStore(own, { root, ...(bounds === undefined ? {} : { bounds }) });
      const place = { root, audit };
      const [intents, roster] = [createIntentStore(own, place), createRosterStore(own, place)];
      for (const one of [intents, roster]) {
        zk.open(one);
        await one.start();
      }
      return { audit, intents, roster };
    },
    close: () => Promise.resolve(),
  };
});
