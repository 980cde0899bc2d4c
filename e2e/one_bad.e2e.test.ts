import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Algorithm, ALGORITHMS, type ServiceSet } from '../control-plane/src/testkit.js';
import { clientHeaders } from './harness/client.js';
import { FaultyInstance, SLOW_MS } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { timePasses } from './harness/until.js';
import { Workbench } from './harness/workbench.js';

/*
 * One of three instances is ill, in every way and under every algorithm: after two seconds the clients see next to
 * nothing of it, and where latency steers, it gets next to nothing.
 */

const FAULTS: readonly (readonly [string, (one: FaultyInstance) => unknown])[] = [
  ['refuses', (one) => one.refuse()],
  ['hangs', (one) => (one.mode = 'hanging')],
  ['fails', (one) => (one.mode = 'failing')],
  ['is slow', (one) => (one.mode = 'slow')],
];
const CLIENTS = 4;

let bench: Workbench;
const started: FaultyInstance[] = [];

beforeAll(async () => {
  // Trusted, so that a test can be many clients.
  bench = await Workbench.start({ trusted_proxies: ['127.0.0.0/8'] });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});

function set(algorithm: Algorithm): Partial<ServiceSet> {
  return {
    balancer: { algorithm, hash_on: { source: 'header', name: 'x-user' } },
    timeouts: { connect_ms: 200, send_ms: 1_000, read_ms: 3 * SLOW_MS },
    retry: { tries: 1 }, // nothing is hidden by another try
    health: { max_fails: 3, fail_timeout_ms: 30_000, fail_statuses: [500] },
  };
}

/** Requests of ever new clients for so long, on a machine that has some left; how many there were and how many failed. */
async function ask(
  service: string,
  ms: number,
): Promise<{ readonly total: number; readonly failed: number }> {
  const until = performance.now() + ms;
  let [total, failed] = [0, 0];
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const i = (total += 1);
      const { status } = await bench.ask(service, '/', { headers: clientHeaders(i) });
      if (status !== 200) failed += 1;
      await timePasses('several services share the machine', 15);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { total, failed };
}

/** What came of it once the gateway has had two seconds to notice. */
async function suffer(
  algorithm: Algorithm,
  [what, hurt]: (typeof FAULTS)[number],
): Promise<{ readonly what: string; readonly failed: number; readonly share: number }> {
  const service = `${algorithm.replaceAll('_', '-')}-${what.replace(' ', '-')}`;
  const fleet = await Promise.all([1, 2, 3].map(() => FaultyInstance.start(service)));
  started.push(...fleet);
  await bench.serve(
    service,
    fleet.map((one) => peer(one)),
    set(algorithm),
  );
  const [bad] = fleet as [FaultyInstance, FaultyInstance, FaultyInstance];
  await hurt(bad);
  await ask(service, 2_000);
  bad.forget();
  const { total, failed } = await ask(service, 2_000);
  expect(total, what).toBeGreaterThan(50);
  return { what, failed: failed / total, share: bad.requests.length / total };
}

test.concurrent.each(ALGORITHMS)(
  '%s: at most 1 % fail after two seconds, whatever one of three suffers from',
  async (algorithm) => {
    const found = await Promise.all(FAULTS.map((fault) => suffer(algorithm, fault)));
    for (const { what, failed, share } of found) {
      expect(failed, `${what}: failed`).toBeLessThanOrEqual(0.01);
      if (algorithm === 'ewma' || what !== 'is slow')
        expect(share, `${what}: its share`).toBeLessThanOrEqual(0.05);
    }
  },
);
