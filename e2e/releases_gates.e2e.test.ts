import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hasEnded } from '../control-plane/src/testkit.js';
import { measured } from './harness/measured.js';
import { releaseCalls } from './harness/release_calls.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { Streams } from './harness/streams.js';
import { until } from './harness/until.js';

/*
 * What the gates are for: a bad version under live traffic, and nobody there to look. Every test has a service of its own, with
 * two ready instances of v1 behind two gateways, and every bad v2 is gone at the end without a word from a person.
 */

const LONG = { timeoutMs: 60_000 };
const RATE = 150;
/** Where no gate counts. */
const LITTLE = 50;
const GATEWAYS = 2;
const SHARE = 0.2;
const STEPS = [{ weight: 100 * SHARE }, { pause: '10m' }, { weight: 100 }];

let platform: ControlledPlatform;
let gateServer: GateServer;
let tests = 0;
let service: string;
let rate = RATE;
let traffic: Streams;

const calls = releaseCalls(() => platform);
const { read, reached, ended } = calls;
const start = (body: object): Promise<string> => calls.start(service, body);

beforeAll(async () => {
  gateServer = await GateServer.start();
  platform = await ControlledPlatform.start({
    gateways: GATEWAYS,
    env: { EBBGATE_HOOKS: `${gateServer.url}/gates`, EBBGATE_PROMETHEUS: gateServer.url },
  });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await gateServer.stop();
});
beforeEach(() => {
  service = `gated-${String((tests += 1))}`;
  gateServer.reset();
});
afterEach(() => traffic.stop());

type Manners = (n: number) => { readonly status?: number; readonly delayMs?: number };

/** Two instances of v1 under steady traffic: as much as a gate needs that counts. */
async function serve(behave: Manners = () => ({}), asked = RATE): Promise<void> {
  rate = asked;
  await Promise.all([
    platform.startInstance({ service, behave }),
    platform.startInstance({ service, behave }),
  ]);
  await platform.route(service, `/${service}`);
  traffic = platform.traffic({ path: `/${service}`, rate });
}
const join = (behave: Manners = () => ({})) =>
  Promise.all([1, 2].map(() => platform.startInstance({ service, version: 'v2', behave, wait: false })));
const exposed = (id: string) => reached(id, ({ shares }) => shares.wanted['v2'] === 100 * SHARE);
const failures = (): number =>
  traffic.streams.reduce(
    (sum, { statuses }) =>
      sum + [...statuses].reduce((bad, [status, n]) => bad + (status >= 200 && status < 400 ? 0 : n), 0),
    0,
  );

/** From now on v1 serves alone on every gateway, and nothing fails any more. */
async function settled(): Promise<void> {
  const { effective_shares, convergence } = await platform.service(service);
  expect(effective_shares).toEqual({ v1: 100 });
  expect(convergence).toMatchObject({ converged: true });
  const [lost, sent] = [failures(), traffic.total()];
  await until('it goes on', () => traffic.total() > sent + rate * GATEWAYS, LONG);
  expect(failures()).toBe(lost);
}

test('20 % errors: the fast gate alone goes back within seconds, and the loss is bounded by the share', async () => {
  await serve();
  const id = await start({ target: 'v2', steps: STEPS, gates: { errors: null, latency: null } });
  await join((n) => ({ status: n % 5 === 0 ? 500 : 200 }));
  await exposed(id);
  await until('v2 fails', () => failures() > 0, LONG);
  const began = performance.now();
  const release = await ended(id, 'rolled_back');
  const took = performance.now() - began;
  measured(
    `20 % errors, ${String(failures())} requests lost: first one → rolled back on every gateway`,
    took,
  );
  expect(release.message).toContain('fast gate');
  expect(took).toBeLessThan(15_000);
  await settled();
  // Of the requests that its share came to while it lasted, one in five.
  expect(failures()).toBeLessThan((0.2 * SHARE * RATE * GATEWAYS * (took + 2_000)) / 1_000 + 10);
  expect(traffic.failed().every(({ status }) => status === 500)).toBe(true);
});

test('6 % errors: too few for the fast gate, and the errors gate goes back at the first check', async () => {
  await serve();
  const gates = { interval: '4s', latency: null };
  const id = await start({ target: 'v2', steps: STEPS, gates });
  await join((n) => ({ status: n % 16 === 0 ? 500 : 200 }));
  await exposed(id);
  const release = await ended(id, 'rolled_back');
  expect(release.message).toContain('gate: errors');
  await settled();
});

test('three times as slow: the percentile gate goes back, and nothing was lost', async () => {
  await serve(() => ({ delayMs: 100 }));
  const gates = { interval: '4s', min_samples: 40, latency: { percentile: 95 } };
  const id = await start({ target: 'v2', steps: STEPS, gates });
  await join(() => ({ delayMs: 300 }));
  const began = performance.now();
  await exposed(id);
  const soaking = await reached(
    id,
    (now) => hasEnded(now.state) || now.gates.some((one) => one.gate === 'latency p95' && one.value !== null),
  );
  const release = await ended(id, 'rolled_back');
  measured('start of a version that is three times as slow → rolled back', performance.now() - began);
  expect(release.message, JSON.stringify(soaking.gates)).toMatch(/latency p95 .* ms of \d+ requests.*: fail/);
  await settled();
  expect(failures()).toBe(0);
});

test('as fast as before: the same gate lets it through', async () => {
  await serve(() => ({ delayMs: 60 }));
  const gates = {
    min_samples: 40,
    on_inconclusive: 'fail',
    errors: null,
    latency: { ratio: 2, slack_ms: 20 },
  };
  const id = await start({ target: 'v2', steps: [{ weight: 20 }, { pause: '3s' }, { weight: 100 }], gates });
  await join(() => ({ delayMs: 60 }));
  await ended(id, 'succeeded');
  expect(await traffic.stop()).toEqual([]);
});

test('a target that refuses connections: every gateway has it out, so nobody is ready and the deadline decides', async () => {
  await serve(undefined, LITTLE);
  const id = await start({ target: 'v2', steps: STEPS, deadline: '4s' });
  const instances = await join();
  await reached(id, ({ state }) => state === 'progressing');
  // Its registration stays, and so does its readiness: it only listens no more.
  await Promise.all(instances.map((one) => one.stop()));
  const began = performance.now();
  const release = await reached(id, (now) => hasEnded(now.state));
  const took = performance.now() - began;
  measured(
    `target refuses connections, ${String(failures())} requests lost → gone back on every gateway`,
    took,
  );
  expect(['failed', 'rolled_back']).toContain(release.state);
  expect(took).toBeLessThan(30_000);
  await settled();
  expect(failures()).toBeLessThan((SHARE * rate * GATEWAYS * took) / 1_000);
});

test('a target that dies as soon as it has started: its share is given back at once, and the release fails', async () => {
  await serve(undefined, LITTLE);
  const id = await start({ target: 'v2', steps: STEPS, deadline: '4s' });
  const instances = await join();
  await exposed(id);
  await Promise.all(instances.map((one) => one.die()));
  const release = await ended(id, 'failed');
  expect(release.message).toContain('v2 had no ready instance');
  await settled();
});

test('a webhook is asked at every interval, and its abort goes back with its message', async () => {
  await serve(undefined, LITTLE);
  const webhooks = [{ name: 'ci', url: `${gateServer.url}/gates/ci`, timeout: '2s' }];
  const refused = await platform.call('POST', `/v1/services/${service}/releases`, {
    target: 'v2',
    gates: { webhooks: [{ name: 'ci', url: `${gateServer.url}/elsewhere` }] },
  });
  expect(refused).toMatchObject({ status: 400, body: { field: 'body.gates.webhooks.0.url' } });
  expect(JSON.stringify(refused.body)).toContain('EBBGATE_HOOKS');
  const id = await start({ target: 'v2', steps: STEPS, gates: { interval: '1s', webhooks } });
  await join();
  await until('it was asked twice', () => gateServer.asked.length >= 2, LONG);
  const seen = await read(id);
  expect(seen.gates.find(({ gate }) => gate === 'webhook:ci')).toMatchObject({ samples: null, target: null });
  gateServer.verdict = { verdict: 'abort', message: 'the cart test is red' };
  const release = await ended(id, 'rolled_back');
  expect(release.message).toContain('the cart test is red');
  const keys = gateServer.asked.map(({ key }) => key);
  expect(keys).toEqual(keys.map((_key, index) => `${id}/1/1/webhook:ci/${String(index + 1)}`));
  expect(gateServer.asked[0]?.body).toMatchObject({
    release: id,
    service,
    ...{ step: 1, attempt: 1, stable: 'v1', target: 'v2', shares: { v1: 80, v2: 20 } },
    gates: [{ gate: 'errors' }, { gate: 'latency p95' }],
  });
  await settled();
  expect(failures()).toBe(0);
});

test('a controller that dies while a webhook thinks: the next one asks the same again, and obeys the answer', async () => {
  await serve(undefined, LITTLE);
  gateServer.verdict = null;
  const webhooks = [{ name: 'ci', url: `${gateServer.url}/gates/ci`, timeout: '60s' }];
  const steps = [{ weight: 20 }, { pause: '2s' }, { weight: 50 }, { pause: {} }, { weight: 100 }];
  const gates = { interval: '1s', min_samples: 10, latency: null, webhooks };
  const id = await start({ target: 'v2', steps, gates });
  await join();
  await until('it was asked', () => gateServer.asked.length > 0, LONG);
  await platform.controller.kill();
  await platform.controller.start();
  await platform.ready();
  await until('it was asked again', () => gateServer.asked.length > 1, LONG);
  const [first, second] = gateServer.asked;
  expect(second).toEqual(first);
  gateServer.verdict = { verdict: 'complete' };
  await ended(id, 'succeeded');
  const { body } = await platform.call<{ items: { event: string; by: string }[] }>(
    'GET',
    `/v1/releases/${id}/events`,
  );
  expect(body.items.find(({ event }) => event === 'promoted')).toMatchObject({ by: 'webhook:ci' });
  expect(await traffic.stop()).toEqual([]);
});

test('a query to Prometheus is asked at every interval, and a sample above its limit goes back', async () => {
  await serve(undefined, LITTLE);
  const prometheus = [{ name: 'lag', query: 'lag{service="{{service}}",version="{{target}}"}', max: 5 }];
  const gates = { interval: '1s', errors: null, latency: null, prometheus };
  const id = await start({ target: 'v2', steps: STEPS, gates });
  await join();
  const read = await reached(id, (now) => now.gates[0]?.value === 1);
  expect(read.gates).toMatchObject([{ gate: 'prometheus:lag', verdict: 'pass', value: 1, limit: 5 }]);
  expect(gateServer.queries[0]).toBe(`lag{service="${service}",version="v2"}`);
  gateServer.sample = '9';
  const release = await ended(id, 'rolled_back');
  expect(release.message).toContain('prometheus:lag 9, limit 5: fail');
  await settled();
  expect(failures()).toBe(0);
});

/** What a pipeline and a Prometheus would offer: it answers `verdict`, and while that is null not at all. */
class GateServer {
  readonly asked: { readonly key: unknown; readonly body: Readonly<Record<string, unknown>> }[] = [];
  readonly queries: string[] = [];
  /** What the API of Prometheus gives as the one sample. */
  sample = '1';
  #verdict: object | null = { verdict: 'continue' };
  #waiting: ServerResponse[] = [];

  private constructor(
    readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<GateServer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gateServer = new GateServer(
      server,
      `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    );
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void gateServer.#take(request, response);
    });
    return gateServer;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    if (url.pathname === '/api/v1/query') {
      this.queries.push(url.searchParams.get('query') ?? '');
      const result = [{ metric: {}, value: [Date.now() / 1_000, this.sample] }];
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
      return;
    }
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const body = JSON.parse(text) as Readonly<Record<string, unknown>>;
    this.asked.push({ key: request.headers['idempotency-key'], body });
    if (this.#verdict) response.end(JSON.stringify(this.#verdict));
    else this.#waiting.push(response);
  }

  set verdict(verdict: object | null) {
    this.#verdict = verdict;
    for (const response of this.#waiting.splice(0)) response.end(JSON.stringify(verdict));
  }

  reset(): void {
    this.asked.length = 0;
    this.queries.length = 0;
    this.sample = '1';
    this.verdict = { verdict: 'continue' };
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}
