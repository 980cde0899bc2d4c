import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Health, Heartbeat, ServiceSet } from '../control-plane/src/testkit.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { startTraffic, type Traffic } from './harness/traffic.js';
import { until, untilValue } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

/** What the heartbeat reports of health. */
interface Reported {
  readonly breakers?: Readonly<Record<string, { readonly state: string; readonly reason: string }>>;
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
const traffic = (rate = 200, concurrency = 16): Traffic =>
  startTraffic({ url: bench.gateway.url, host: hostOf(service), rate, concurrency });
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
    // Three at a time: when the third failure is known, no more than two others are on their way.
    await using stream = traffic(200, 3);
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
      // A bound, because on a busy machine 3 times the median is soon there.
      health: health({ slow_percent: 10, slow_ms: 100, min_requests: 10, window_ms: 1_000, max_fails: 3 }),
    });
    await using stream = traffic();
    await until('a window is full', () => stream.total() > 200);
    const [slow] = fleet;
    slow!.forget();
    const before = stream.total();
    slow!.mode = 'slow';
    const { reason } = await until('it is out', () => reported(slow!));
    expect(reason).toMatch(/^\d+% of \d+ requests were slow within 1 s$/);
    await until('five seconds of requests', () => stream.total() - before >= 1_000);
    // At most one request in a hundred was slow.
    expect(slow!.requests.length).toBeLessThanOrEqual(10);
    expect(stream.failed).toEqual([]);
  });
});

describe('the breaker of a service', () => {
  const BREAKER = { failure_percent: 50, min_requests: 10, window_ms: 2_000 };
  const QUIET: Partial<ServiceSet> = { health: health({}), retry: { tries: 1 } };
  const opened = async (name = service): Promise<string | undefined> => {
    const beat: (Heartbeat & Reported) | null = await bench.publishing.heartbeat('gw-1');
    return beat?.breakers?.[name]?.reason;
  };

  test('opens while its service fails, lets one request a second through, and closes when it recovers', async () => {
    const fleet = await fresh(2, { ...QUIET, retry: { tries: 2, on: 'server_error' }, breaker: BREAKER });
    await using stream = traffic(100);
    await until('all is well', () => stream.total() > 20);
    for (const one of fleet) one.mode = 'failing';
    const reason = await until('it is open', () => opened());
    expect(reason).toMatch(/^\d+% of \d+ requests failed within 2 s$/);
    const refused = await bench.ask(service);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(JSON.parse(refused.text)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      code: 'breaker_open',
    });
    const grpc = await bench.ask(service, '/', { headers: { 'content-type': 'application/grpc' } });
    expect([grpc.status, grpc.headers['grpc-status']]).toEqual([200, '14']);
    for (const one of fleet) one.forget();
    const before = Date.now();
    await until('three half-open requests', () => fleet.flatMap((one) => one.requests).length >= 3);
    // Each may be tried at both instances.
    const at = fleet.flatMap((one) => one.requests.map((seen) => seen.at)).sort((a, b) => a - b);
    expect(at.length).toBeLessThanOrEqual(2 * (Math.ceil((Date.now() - before) / 1_000) + 1));
    for (const one of fleet) one.mode = 'well';
    const recovered = Date.now();
    await until('it is closed', async () => (await bench.ask(service)).status === 200, { everyMs: 20 });
    expect(Date.now() - recovered).toBeLessThan(2_000);
    expect(await metric(`ebbgate_breaker_openings_total{service="${service}"} 1`)).toBe(true);
    await until('reported', async () => (await opened()) === undefined);
  });

  test('has another service answer, within its own limits; two that name each other make no circle', async () => {
    const [spare] = await fresh(1, { ...QUIET, limits: [{ name: 'all', rate: '1/h', burst: 3 }] });
    const other = service;
    const [one] = await fresh(1, { ...QUIET, breaker: { ...BREAKER, fallback: other } });
    const ask = async (): Promise<number> => (await bench.ask(service)).status;
    one!.mode = 'failing';
    for (let i = 0; i < 10; i++) await ask();
    await until('it is open', () => opened());
    const answered = await Promise.all([1, 2, 3, 4, 5].map(() => bench.ask(service)));
    const byOther = answered.filter(({ text }) => text.includes(spare!.id));
    expect(byOther.length).toBe(3);
    expect(answered.filter(({ status }) => status === 503 || status === 500).length).toBe(2);
    await bench.serve(other, [peer(spare!)], {
      ...QUIET,
      breaker: { fallback: service },
      breaker_forced: 'open',
    });
    expect(await untilValue('neither answers', ask, (status) => status === 503)).toBe(503);
  });

  test('gives a text where it has one, also where no instance is left, and does as an operator says', async () => {
    const answer = { status: 200, content_type: 'application/json', body: '{"items": []}' };
    const [one] = await fresh(1, { ...QUIET, breaker: { answer } });
    expect((await bench.ask(service)).text).toContain(one!.id);
    await bench.serve(service, [peer(one!, 100, { state: 'draining' })], { ...QUIET, breaker: { answer } });
    const text = await bench.ask(service);
    expect([text.status, text.headers['content-type'], text.text]).toEqual([
      ...[200, 'application/json', '{"items": []}'],
    ]);
    await bench.serve(service, [peer(one!)], { ...QUIET, breaker: { answer }, breaker_forced: 'open' });
    one!.forget();
    for (let i = 0; i < 5; i++) expect((await bench.ask(service)).text).toBe('{"items": []}');
    expect(one!.requests.length).toBe(0);
    one!.mode = 'failing';
    await bench.serve(service, [peer(one!)], { ...QUIET, breaker: BREAKER, breaker_forced: 'closed' });
    for (let i = 0; i < 30; i++) expect((await bench.ask(service)).status).toBe(500);
  });
});

describe('a bound on open requests', () => {
  const LONG = { timeouts: { connect_ms: 500, send_ms: 10_000, read_ms: 10_000 } };
  const lonely = (): Promise<{ readonly status: number; readonly text: string }> =>
    bench.ask(service, '/', { headers: { connection: 'close' } });

  test('holds for each instance over all workers, and what finds no place is refused at once', async () => {
    const fleet = await fresh(2, {
      ...LONG,
      health: health({ max_fails: 1, slow_percent: 1, slow_ms: 50, min_requests: 1 }),
      concurrency: { max_per_instance: 3 },
    });
    for (const one of fleet) one.mode = 'hanging';
    const waiting = Array.from({ length: 6 }, lonely);
    await until('six are open', () => fleet.reduce((sum, one) => sum + one.open, 0) === 6);
    expect(fleet.map((one) => one.open)).toEqual([3, 3]);
    const answers = await Promise.all(Array.from({ length: 10 }, lonely));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(503));
    expect(JSON.parse(answers[0]!.text)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      code: 'at_capacity',
    });
    // Nothing came to an instance, so nothing counts against one.
    expect(fleet.map((one) => one.requests.length)).toEqual([3, 3]);
    expect(await metric(`ebbgate_ejections_total{service="${service}"`)).toBe(false);
    expect(
      await metric(
        `ebbgate_concurrency_requests_total{service="${service}",priority="default",result="refused"} 10`,
      ),
    ).toBe(true);
    for (const one of fleet) one.release();
    await Promise.all(waiting);
  });

  test('lets some wait for a place, and forgets those whose clients leave', async () => {
    const [one] = await fresh(1, {
      ...LONG,
      concurrency: { max_per_service: 2, max_pending: 3, pending_ms: 8_000 },
    });
    one!.mode = 'hanging';
    const first = [lonely(), lonely()];
    await until('both are open', () => one!.open === 2);
    // Three of these wait, two are refused.
    const asked = Array.from({ length: 5 }, () => {
      const one = { client: new AbortController(), status: null as number | null };
      const options = { headers: { host: hostOf(service), connection: 'close' }, signal: one.client.signal };
      const ended = request(bench.gateway.url, options).then(
        ({ statusCode, body }) => {
          one.status = statusCode;
          return body.dump();
        },
        () => undefined,
      );
      return { one, ended };
    });
    const refused = (): number => asked.filter(({ one: { status } }) => status === 503).length;
    await until('two are refused', () => refused() === 2);
    const waiting = asked.filter(({ one: { status } }) => status === null);
    waiting[0]!.one.client.abort();
    await until('one has left', () =>
      metric(`ebbgate_concurrency_requests_total{service="${service}",priority="default",result="left"} 1`),
    );
    one!.mode = 'well';
    one!.release();
    await Promise.all([...first, ...asked.map(({ ended }) => ended)]);
    expect(waiting.map(({ one: { status } }) => status)).toEqual([null, 200, 200]);
    expect(one!.requests.length).toBe(4);
  });

  test('keeps a storm of retries from a service at capacity, and ejects nobody for it', async () => {
    const fleet = await fresh(2, {
      ...LONG,
      retry: { tries: 3, on: 'server_error' },
      health: health({ max_fails: 3, fail_statuses: [503] }),
      concurrency: { max_per_instance: 4, max_pending: 4, pending_ms: 100 },
    });
    for (const one of fleet) one.mode = 'slow';
    let sent = 0;
    // Each client asks again at once, up to five times, as bad clients do.
    const impatient = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        sent += 1;
        if ((await bench.ask(service)).status === 200) return;
      }
    };
    for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 30 }, impatient));
    const came = fleet.reduce((sum, one) => sum + one.requests.length, 0);
    expect(came).toBeGreaterThan(30);
    expect(came).toBeLessThanOrEqual(1.1 * sent);
    expect(await metric(`ebbgate_ejections_total{service="${service}"`)).toBe(false);
  });
});
