import { expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import { auditContract } from '../testing/audit.contract.js';
import { buildEntry } from '../testing/builders.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
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

test('a store that knows no audit writes nothing that must be recorded', async () => {
  const root = zk.path('without');
  const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
  const term = await must(createOffice(link, { root, owner: 'one' }).take(0));
  const intents = zk.open(createIntentStore(link, { root }));
  await intents.start();
  const edits = [{ service: 'shop', etag: null, record: NO_INTENT }];
  const refused = await intents.write(term, edits, buildEntry());
  expect(refused).toMatchObject({ error: { reason: 'intents: changes cannot be recorded' } });
  expect(await must(intents.read('shop'))).toBeNull();
  await until(async () => expect(await intents.write(term, edits)).toMatchObject({ ok: true }));
});
