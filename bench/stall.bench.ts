import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'vitest';
import { steady, type Timed } from './harness/drive.js';
import { Lab } from './harness/lab.js';
import { manyPeers, manyServices } from './harness/many.js';
import { median, quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const SERVICES = 200;
const INSTANCES = 50;
const CHANGES = 100;
const RATE = 5_000;
const WINDOW_MS = 40;

test('how long a change keeps a worker from its requests', async () => {
  await using lab = await Lab.open();
  const gateway = await lab.ebbgate('Ebbgate', { access_log: 'off' });
  const { publishing } = lab.workbench;
  for (const service of manyServices(SERVICES - 1))
    await publishing.set(service, manyPeers(lab.ports, INSTANCES));
  await lab.acked(await publishing.set(lab.service, manyPeers(lab.ports, INSTANCES)));
  const aim = { host: lab.host, ports: [gateway.port], connections: 16 };
  await steady({ ...aim, seconds: 2 }, RATE);
  const traffic = steady({ ...aim, seconds: (CHANGES * 100) / 1_000 + 2 }, RATE);
  await pause(500);
  const moments: number[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    moments.push(Number(process.hrtime.bigint()) / 1e6);
    await publishing.set(lab.service, manyPeers(lab.ports, INSTANCES, 100 + change));
    await pause(80 + Math.random() * 20);
  }
  const answers = (await traffic).get(gateway.port)!;
  const after = moments.map((at) => longest(answers, at));
  const before = moments.map((at) => longest(answers, at - WINDOW_MS));
  const row = (what: string, waits: readonly number[]) => [
    what,
    ...[0.1, 0.5, 0.9].map((share) => rounded(quantile(waits, share), 3)),
  ];
  report('stall', {
    title: "Stall of a worker's loop by a change",
    how: `${SERVICES} services of ${INSTANCES} instances, each of which has had a request; the one that takes ${RATE} requests per second changes ${CHANGES} times. The only worker
checks the set, writes it to disk, shares and acks it, and builds it again with the next request. Seen from outside, as a
client would: the longest wait of any request within ${WINDOW_MS} ms from the publish on, against the longest one in the ${WINDOW_MS} ms before it.`,
    columns: ['longest wait', 'p10, ms', 'median, ms', 'p90, ms'],
    rows: [row('with a change', after), row('without', before)],
    verdicts: [
      {
        what: 'stall: the difference of the medians',
        measured: rounded(median(after) - median(before), 3),
        limit: 1,
        unit: 'ms',
      },
    ],
  });
});

function longest(answers: readonly Timed[], from: number): number {
  const within = answers.filter(({ atMs }) => atMs >= from && atMs < from + WINDOW_MS);
  return Math.max(...within.map(({ ms }) => ms));
}
