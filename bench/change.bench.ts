import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'vitest';
import { peer } from '../e2e/harness/publish.js';
import { Lab } from './harness/lab.js';
import { quantile } from './harness/numbers.js';
import { Probe, reportWorkers } from './harness/probe.js';
import { report, rounded } from './harness/results.js';

const CHANGES = 300;
const WORKERS = 2;

test('from a publish in Redis to the first request that obeys it, on every worker', async () => {
  await using lab = await Lab.open();
  const gateway = await lab.ebbgate('Ebbgate', { workers: WORKERS }, reportWorkers);
  await using probe = await Probe.open(gateway.url, lab.host, WORKERS);
  const peers = lab.ports.map((port) =>
    peer({ id: `127.0.0.1:${port}`, host: '127.0.0.1', port, version: 'v1' }),
  );
  const waits: number[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const next = peers[change % peers.length]!;
    const began = performance.now();
    const published = lab.workbench.publishing.set(lab.service, [next]);
    waits.push((await probe.until(lab.host, next.id)) - began);
    await published;
    await pause(5 + Math.random() * 30);
  }
  report('change', {
    title: 'From a publish in Redis to the first request that obeys it',
    how: `${CHANGES} changes of a set from one instance to another, at random moments. The time runs from the moment the change is sent to
Redis until the last of the gateway's ${WORKERS} workers has given an answer of the new instance; a connection to each asks without a
pause (which keeps both workers and a core busy).`,
    columns: ['changes', 'p50, ms', 'p90, ms', 'p99, ms', 'worst, ms'],
    rows: [[CHANGES, ...[0.5, 0.9, 0.99, 1].map((share) => rounded(quantile(waits, share)))]],
    verdicts: [{ what: 'p99', measured: rounded(quantile(waits, 0.99)), limit: 20, unit: 'ms' }],
  });
});
