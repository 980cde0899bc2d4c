import { test } from 'vitest';
import { steady } from './harness/drive.js';
import { Lab, type Subject } from './harness/lab.js';
import { median, quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const ROUNDS = 7;
const SECONDS = 4;
const RATE = 1_000;
const SHARES = [0.5, 0.99] as const;

test('latency at a fixed rate', async () => {
  await using lab = await Lab.open();
  const direct: Subject = { name: 'no proxy', port: lab.ports[0]!, url: '', adminUrl: '', pids: [] };
  const subjects = [
    direct,
    await lab.staticNginx('static nginx'),
    await lab.ebbgate('Ebbgate'),
    await lab.haproxy('HAProxy'),
  ];
  const aim = { host: lab.host, ports: subjects.map(({ port }) => port), connections: 8 };
  await steady({ ...aim, seconds: 2 }, RATE);
  /** name → share → milliseconds, one for every round. */
  const found = new Map(subjects.map(({ name }) => [name, SHARES.map((): number[] => [])]));
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await steady({ ...aim, seconds: SECONDS }, RATE);
    for (const { name, port } of subjects)
      for (const [i, share] of SHARES.entries())
        found.get(name)![i]!.push(
          quantile(
            answers.get(port)!.map(({ ms }) => ms),
            share,
          ),
        );
  }
  const added = found.get('Ebbgate')![1]!.map((ms, round) => ms - found.get('static nginx')![1]![round]!);
  report('latency', {
    title: 'Latency at a fixed rate',
    how: `${RATE} requests per second to each, one after the other to each in turn within one run, every one at its moment whether or
not those before were answered; the time counts from that moment on. ${ROUNDS} rounds of ${SECONDS} s; medians over the rounds. Both
nginx write their access logs.`,
    columns: ['proxy', 'p50, ms', 'p99, ms'],
    rows: subjects.map(({ name }) => [name, ...found.get(name)!.map((all) => rounded(median(all), 3))]),
    verdicts: [
      {
        what: 'p99 that Ebbgate adds to static nginx',
        measured: rounded(median(added), 3),
        limit: 0.2,
        unit: 'ms',
      },
    ],
  });
});
