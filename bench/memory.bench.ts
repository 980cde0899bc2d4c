import { request } from 'undici';
import { test } from 'vitest';
import { ownMemory } from '../e2e/harness/memory.js';
import { askEach, Lab } from './harness/lab.js';
import { manyPeers, manyServices } from './harness/many.js';
import { report, rounded } from './harness/results.js';

const SERVICES = 1_000;
const INSTANCES = 10;
const CHANGES = 10_000;
const BATCH = 100;
const MIB = 1_048_576;

test('memory of a worker', async () => {
  await using lab = await Lab.open();
  const gateway = await lab.ebbgate('Ebbgate', { access_log: 'off' }, reportHeap);
  const worker = gateway.pids[0]!;
  const { publishing } = lab.workbench;
  const services = manyServices(SERVICES);
  const publish = (names: readonly string[], weight: number) =>
    Promise.all(names.map((name) => publishing.set(name, manyPeers(lab.ports, INSTANCES, weight))));
  const rows: (readonly [string, number, number])[] = [];
  const note = async (when: string): Promise<void> => {
    const whole = rounded(ownMemory(worker) / MIB, 1);
    rows.push([when, whole, rounded((await liveHeap(gateway.adminUrl)) / MIB, 2)]);
  };
  await note('one service');
  await publish(services, 100);
  await lab.serve(gateway, services, INSTANCES);
  await note(`${SERVICES} services of ${INSTANCES} instances, each of them asked`);
  for (let done = 0; done < CHANGES;) {
    const names = services.slice(done % SERVICES, (done % SERVICES) + BATCH);
    const positions = await publish(names, 101 + done / BATCH);
    await lab.acked(positions.at(-1)!);
    await askEach(gateway, names);
    done += BATCH;
    if (done % (CHANGES / 4) === 0) await note(`after ${done} changes`);
  }
  const grown = rows.at(-1)![2] / rows.at(-3)![2];
  report('memory', {
    title: 'Memory of a worker',
    how: `What belongs to the one worker alone (\`Pss_Anon\` in \`/proc/PID/smaps_rollup\`: no dictionaries), which both serves and
follows Redis. After every ${BATCH} changes each changed service is asked once, so that the worker builds all sets.
LuaJIT lets garbage grow to a multiple of what lives; what lives is counted after a full collection.`,
    columns: ['when', 'memory, MiB', 'live Lua objects, MiB'],
    rows,
    verdicts: [
      {
        what: 'live Lua objects after all changes, against half of them',
        measured: rounded(grown, 3),
        limit: 1.05,
        unit: '×',
      },
    ],
  });
});

const HEAP_PATH = '/bench/heap';

/** A page of the admin listener that collects all garbage and shows what is left. */
function reportHeap(conf: string): string {
  const page = `location = ${HEAP_PATH} { content_by_lua_block {
            collectgarbage() collectgarbage() ngx.print(collectgarbage('count') * 1024)
        } }`;
  return conf.replace('location = /healthz', `${page}\n        location = /healthz`);
}

async function liveHeap(adminUrl: string): Promise<number> {
  const { body } = await request(`${adminUrl}${HEAP_PATH}`);
  return Number(await body.text());
}
