import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Health, Heartbeat, ServiceSet } from '../control-plane/src/testkit.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { startTraffic, type Traffic } from './harness/traffic.js';
import { until } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

/** What the heartbeat reports of health. */
interface Reported {
  readonly health?: Readonly<Record<string, { readonly state: string; readonly reason: string }>>;
}

let bench: Workbench;
let service = '';
let named = 0;
const started: FaultyInstance[] = [];

beforeAll(async () => {
  bench = await Workbench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});

/** A fresh service with so many instances, in this set. */
async function fresh(count: number, set: Partial<ServiceSet>): Promise<readonly FaultyInstance[]> {
  service = `broken-${++named}`;
  const made = await Promise.all(Array.from({ length: count }, () => FaultyInstance.start(service)));
  started.push(...made);
  await bench.serve(
    service,
    made.map((one) => peer(one)),
    { timeouts: { connect_ms: 200, send_ms: 1_000, read_ms: 1_000 }, ...set },
  );
  return made;
}

const health = (more: Partial<Health>): Health => ({ max_fails: 0, fail_timeout_ms: 10_000, ...more });
const traffic = (rate = 200): Traffic =>
  startTraffic({ url: bench.gateway.url, host: hostOf(service), rate });
const reported = async (one: FaultyInstance): Promise<{ state: string; reason: string } | undefined> => {
  const beat: (Heartbeat & Reported) | null = await bench.publishing.heartbeat('gw-1');
  return beat?.health?.[`${service}|${one.id}`];
};
const metric = async (line: string): Promise<boolean> => (await bench.admin('/metrics')).text.includes(line);

describe('the breaker of an instance', () => {
  test('takes a dead one out after five requests at most, says why, and it is back within a second', async () => {
    const [bad, ...others] = await fresh(3, {
      retry: { tries: 2, on: 'server_error' },
      health: health({
        ...{ consecutive_fails: 3, fail_timeout_ms: 400, max_ejection_ms: 700, slow_start_ms: 500 },
        fail_statuses: [500],
      }),
    });
    await using stream = traffic();
    await until('all serve', () => stream.total() > 30);
    bad!.forget();
    bad!.mode = 'failing';
    const { reason } = await until('it is out', () => reported(bad!));
    // By the time of the heartbeat a half-open request may have failed.
    expect(reason).toMatch(
      /^(3 failures in a row|the half-open request failed, ejection \d+ in a row): status 500$/,
    );
    const asked = bad!.requests;
    // Those until it is known, then half-open requests, 0.35 s apart at least.
    const first = asked.filter(({ at }) => at - asked[0]!.at < 300);
    expect(first.length).toBeLessThanOrEqual(5);
    expect(await metric(`ebbgate_ejections_total{service="${service}",reason="consecutive_fails"} 1`)).toBe(
      true,
    );
    bad!.forget();
    bad!.mode = 'well';
    const recovered = Date.now();
    await until('it is back', () => bad!.requests.length >= 2);
    expect(bad!.requests[1]!.at - recovered).toBeLessThan(1_000);
    await until('as many as the others', async () => {
      const before = [bad!, ...others].map((one) => one.requests.length);
      await until('thirty more', () => others[0]!.requests.length >= before[1]! + 30);
      return bad!.requests.length - before[0]! >= 25;
    });
    expect(stream.failed).toEqual([]);
  });

  test('takes a slow one out before the 99th percentile of its callers moves', async () => {
    const fleet = await fresh(8, {
      health: health({ slow_percent: 10, min_requests: 10, window_ms: 1_000, max_fails: 3 }),
    });
    await using stream = traffic();
    // A median is known after fifty answers of a worker.
    await until('what is usual is known', () => stream.total() > 300);
    const [slow] = fleet;
    slow!.forget();
    const before = stream.total();
    slow!.mode = 'slow';
    const { reason } = await until('it is out', () => reported(slow!));
    expect(reason).toMatch(/^\d+% of \d+ requests were slow within 1 s$/);
    const late = slow!.requests.length;
    await until('five seconds of requests', () => stream.total() - before >= 1_000);
    expect(slow!.requests.length).toBe(late);
    expect(late).toBeLessThanOrEqual(10);
    expect(stream.failed).toEqual([]);
  });
});
