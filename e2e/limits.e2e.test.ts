import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Limit, ServiceSet } from '../control-plane/src/testkit.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { sendMany } from './harness/traffic.js';
import { timePasses, until, untilValue } from './harness/until.js';
import { type Answer, hostOf, Workbench } from './harness/workbench.js';

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

/** A fresh service of one instance, with these limits. */
async function limited(limits: readonly Limit[], more: Partial<ServiceSet> = {}): Promise<FaultyInstance> {
  service = `limited-${++named}`;
  const one = await FaultyInstance.start(service);
  started.push(one);
  await bench.serve(service, [peer(one)], { ...more, limits });
  return one;
}

/** So many requests at once, on up to 32 connections. */
const crowd = (count: number, headers: Readonly<Record<string, string>> = {}): Promise<readonly Answer[]> =>
  Promise.all(Array.from({ length: count }, () => bench.ask(service, '/', { headers })));

function count(answers: readonly Answer[]): Readonly<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const metric = async (limit: string, result: string): Promise<number> => {
  const { text } = await bench.admin('/metrics');
  const line = `ebbgate_limit_requests_total{service="${service}",limit="${limit}",result="${result}"}`;
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(line))
      ?.slice(line.length) ?? 0,
  );
};

describe('a limit', () => {
  test.each([
    ['token_bucket', { rate: '1/h', burst: 50 }],
    ['fixed_window', { rate: '50/h' }],
    ['sliding_window', { rate: '50/h' }],
  ] as const)('of algorithm %s is exact over all workers', async (algorithm, settings) => {
    const one = await limited([{ name: 'all', algorithm, ...settings }]);
    expect(count(await crowd(500))).toEqual({ 200: 50, 429: 450 });
    expect(one.requests.length).toBe(50);
    await until('metrics', async () => (await metric('all', 'refused')) === 450);
    expect(await metric('all', 'admitted')).toBe(50);
    // It is in Redis as well, with the heartbeat.
    await until('what came of it of late', async () => {
      const counted = (await bench.publishing.stats('gw-1')).limits?.services[service]?.['all'];
      return JSON.stringify(counted) === '{"admitted":50,"delayed":0,"refused":450}';
    });
  });

  test('says what it refuses, in the answer and in the log', async () => {
    await limited([
      { name: 'per-client', rate: '2/m', burst: 2, key: ['client_ip'] },
      { name: 'all', rate: '100/s' },
    ]);
    await crowd(2);
    const { status, headers, text } = await bench.ask(service);
    expect([status, headers['content-type']]).toEqual([429, 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      status: 429,
      code: 'quota_exceeded',
      'violated-policies': ['per-client'],
      request_id: headers['x-request-id'],
    });
    expect(headers['ratelimit-policy']).toBe('"per-client";q=2;w=60, "all";q=100;w=1');
    expect(headers.ratelimit).toMatch(/^"per-client";r=0;t=(29|30), "all";r=(100|9[789]);t=[01]$/);
    expect(headers['retry-after']).toMatch(/^(29|30)$/);
    const log = (): readonly { service: string; status: number; limited_by: string }[] =>
      readFileSync(bench.gateway.accessLog, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { service: string; status: number; limited_by: string })
        .filter((line) => line.service === service);
    await until('the log', () => log().length === 3);
    // Each worker writes its own lines.
    expect(
      log()
        .map((line) => [line.status, line.limited_by])
        .sort(),
    ).toEqual([
      [200, ''],
      [200, ''],
      [429, 'per-client'],
    ]);
  });

  test('refuses a call of gRPC with RESOURCE_EXHAUSTED, and answers with its own status', async () => {
    await limited([{ name: 'all', rate: '1/h', burst: 1, status: 503 }]);
    await crowd(1);
    const grpc = await bench.ask(service, '/', { headers: { 'content-type': 'application/grpc' } });
    expect([grpc.status, grpc.headers['grpc-status'], grpc.text]).toEqual([200, '14', '']);
    expect((await bench.ask(service)).status).toBe(503);
    await limited([{ name: 'all', rate: '1/h', burst: 1 }]);
    await crowd(1);
    const usual = await bench.ask(service, '/', { headers: { 'content-type': 'application/grpc' } });
    expect([usual.status, usual.headers['grpc-status'], usual.headers['retry-after']]).toEqual([
      ...[200, '8'],
      expect.stringMatching(/^\d+$/),
    ]);
  });

  test('counts by what a client cannot choose: X-Forwarded-For of anybody changes nothing', async () => {
    await limited([{ name: 'per-client', rate: '1/h', burst: 5, key: ['client_ip'] }]);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        bench.ask(service, '/', {
          headers: {
            'x-forwarded-for': `10.0.0.${i}`,
            'x-real-ip': `10.0.0.${i}`,
            forwarded: `for=10.0.0.${i}`,
          },
        }),
      ),
    );
    expect(count(answers)).toEqual({ 200: 5, 429: 15 });
  });

  test('by a header counts each of its values, and those without it together', async () => {
    await limited([{ name: 'per-user', rate: '1/h', burst: 3, key: ['header:X-User'] }]);
    expect(count(await crowd(10, { 'x-user': 'ann' }))).toEqual({ 200: 3, 429: 7 });
    expect(count(await crowd(10, { 'x-user': 'ben' }))).toEqual({ 200: 3, 429: 7 });
    expect(count(await crowd(10))).toEqual({ 200: 3, 429: 7 });
  });

  test('leaves out who is exempt, and only counts in mode log', async () => {
    await limited([{ name: 'all', rate: '1/h', burst: 1, exempt: ['127.0.0.0/8'] }]);
    expect(count(await crowd(10))).toEqual({ 200: 10 });
    await limited([{ name: 'all', rate: '1/h', burst: 4, mode: 'log' }]);
    expect(count(await crowd(10))).toEqual({ 200: 10 });
    await until('metrics', async () => (await metric('all', 'refused')) === 6);
  });

  test('is in force with its set, and a change keeps what was counted', async () => {
    const one = await limited([{ name: 'all', rate: '1/h', burst: 5 }]);
    expect(count(await crowd(10))).toEqual({ 200: 5, 429: 5 });
    await bench.serve(service, [peer(one)], { limits: [{ name: 'all', rate: '1/h', burst: 8 }] });
    expect(count(await crowd(10))).toEqual({ 200: 3, 429: 7 });
    await bench.serve(service, [peer(one)], {});
    expect(count(await crowd(10))).toEqual({ 200: 10 });
  });

  test('survives reloads and the death of workers', async () => {
    await limited([{ name: 'all', rate: '1/h', burst: 40 }]);
    expect(count(await crowd(20))).toEqual({ 200: 20 });
    await bench.gateway.reload();
    const [pid = 0] = bench.gateway.workers();
    process.kill(pid, 'SIGKILL');
    await until('another worker', () => {
      const workers = bench.gateway.workers();
      return workers.length >= 2 && !workers.includes(pid);
    });
    const rest = await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 60 });
    expect([...rest.statuses].sort()).toEqual([
      [200, 20],
      [429, 40],
    ]);
  });
});

describe('a leaky bucket', () => {
  test('lets requests go one after the other, and refuses what finds no place in its queue', async () => {
    await limited([{ name: 'even', algorithm: 'leaky_bucket', rate: '20/s', queue: 9 }]);
    const began = performance.now();
    const passed: number[] = [];
    const timed = async (): Promise<Answer> => {
      const answer = await bench.ask(service);
      if (answer.status === 200) passed.push(performance.now() - began);
      return answer;
    };
    const answers = await Promise.all(Array.from({ length: 30 }, timed));
    // Those that came late found places again.
    expect(passed.length).toBeGreaterThanOrEqual(10);
    expect(count(answers)[429]).toBe(30 - passed.length);
    // A turn each 50 ms. The gateway counts in milliseconds of its own loop.
    for (const [turn, ms] of passed.sort((a, b) => a - b).entries())
      expect(ms).toBeGreaterThan(turn * 50 - 5);
    await until('metrics', async () => (await metric('even', 'delayed')) === passed.length - 1);
  });
});

describe('a limit of open requests', () => {
  const open = (burst: number): Limit => ({ name: 'open', algorithm: 'concurrency', burst });
  const LONG = { timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000 } };

  test.each([
    ['by the usual way', {}],
    ['by a location of its own', { retry: { tries: 2, on: 'server_error' } }],
  ] as const)('counts those of all workers, %s, and gives back what ends', async (_, more) => {
    const one = await limited([open(6)], { ...LONG, ...more });
    one.mode = 'hanging';
    const waiting = Array.from({ length: 6 }, () =>
      bench.ask(service, '/', { headers: { connection: 'close' } }),
    );
    await until('six are open', () => one.requests.length === 6);
    expect(count(await crowd(10))).toEqual({ 429: 10 });
    one.mode = 'well';
    one.release();
    await Promise.all(waiting);
    expect(count(await crowd(6))).toEqual({ 200: 6 });
  });

  test('forgets what a worker had open that was killed, and only that', async () => {
    const one = await limited([open(8)], LONG);
    one.mode = 'hanging';
    const waiting = Array.from({ length: 8 }, () =>
      bench.ask(service, '/', { headers: { connection: 'close' } }).catch(() => null),
    );
    await until('eight are open', () => one.requests.length === 8);
    // The kernel divides connections among workers as it likes: the first may have had none.
    for (const pid of bench.gateway.workers()) {
      if (one.open < 8) break;
      process.kill(pid, 'SIGKILL');
      await until('another worker', () => bench.gateway.workers().filter((each) => each !== pid).length >= 2);
      await timePasses('the instance sees what was cut', 300);
    }
    await timePasses('the others learn of the death within a second', 1_200);
    const cut = 8 - one.open;
    expect(cut).toBeGreaterThan(0);
    const again = Array.from({ length: cut + 4 }, () =>
      bench.ask(service, '/', { headers: { connection: 'close' } }),
    );
    await until('as many again', () => one.open === 8);
    one.mode = 'well';
    one.release();
    expect(count(await Promise.all(again))).toEqual({ 200: cut, 429: 4 });
    await Promise.all(waiting);
  });

  test('is not for ever: a client that goes away gives its place back', async () => {
    const one = await limited([open(2)], LONG);
    one.mode = 'hanging';
    const gone = new AbortController();
    const cut = [1, 2].map(() =>
      request(bench.gateway.url, { headers: { host: hostOf(service) }, signal: gone.signal }).catch(
        () => null,
      ),
    );
    await until('both are open', () => one.open === 2);
    gone.abort();
    await Promise.all(cut);
    one.mode = 'well';
    await untilValue(
      'free again',
      async () => count(await crowd(2))[200] ?? 0,
      (passed) => passed === 2,
    );
  });
});
