import { request } from 'undici';
import { test } from 'vitest';
import { TwoControllers } from '../e2e/harness/controllers.js';
import { until } from '../e2e/harness/until.js';
import { quantile } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const KILLS = 20;
const SESSION_MS = 1_000;

test('a leader that is killed', { timeout: 300_000 }, async () => {
  await using both = await TwoControllers.start();
  const { data } = both.platform;
  const [published, answered]: [number[], number[]] = [[], []];
  const path = `/v1/services/shop/instances/${encodeURIComponent(both.instances[0]!.id)}`;
  for (let turn = 0; turn < KILLS; turn += 1) {
    const broken = await until('there is a leader', () => both.leader());
    const [other] = both.controllers.filter((one) => one !== broken);
    const epoch = await data.hget('{ebb}:meta', 'epoch');
    await broken.kill();
    const killed = performance.now();
    const sealed = until(
      'the next one has published everything',
      async () => {
        const [now, isSealed] = await data.hmget('{ebb}:meta', 'epoch', 'sealed');
        return now !== epoch && isSealed === '1';
      },
      { everyMs: 5 },
    ).then(() => published.push(performance.now() - killed));
    await until(
      'a change is answered',
      async () => {
        const { statusCode, body } = await request(`${other!.api}${path}`, {
          method: 'PATCH',
          headers: {
            'content-type': 'application/json',
            'if-match': '*',
            'idempotency-key': `k-${String(turn)}`,
          },
          body: JSON.stringify({ weight: turn + 1 }),
        });
        await body.dump();
        return statusCode === 200;
      },
      { everyMs: 5 },
    );
    answered.push(performance.now() - killed);
    await sealed;
    await broken.start();
    await until('both answer', async () => (await both.leader()) !== undefined && broken.running());
  }
  const row = (what: string, waits: readonly number[]) => [
    what,
    waits.length,
    ...[0.5, 0.9, 0.99].map((share) => rounded(quantile(waits, share), 0)),
  ];
  report('failover', {
    title: 'A leader that is killed',
    how: `Two controllers with ZooKeeper sessions of ${String(SESSION_MS)} ms, a service of eight instances, two gateways. From \`kill -9\` of the leader until everything is published
under the next one's epoch, and until the first change is answered that was sent to the other controller from then on.`,
    columns: ['until', 'times', 'p50, ms', 'p90, ms', 'p99, ms'],
    rows: [row('everything is published again', published), row('the first change is answered', answered)],
    verdicts: [
      {
        what: 'published again, p99',
        measured: rounded(quantile(published, 0.99), 0),
        limit: SESSION_MS + 1_000,
        unit: 'ms',
      },
    ],
  });
});
