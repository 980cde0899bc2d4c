import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { reservePort, type Retry, type ServiceSet } from '../control-plane/src/testkit.js';
import { startInstance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { hanging, resetting, saying, startStub, type Answering, type Stub } from './harness/stub.js';
import { timePasses, until, untilValue } from './harness/until.js';
import { hostOf, Workbench, type Answer } from './harness/workbench.js';

let bench: Workbench;
const stubs: Stub[] = [];

beforeAll(async () => {
  bench = await Workbench.start({
    client_max_body: '4m',
    client_header_buffer: '4k',
    workers: 1,
    upstream_keepalive_requests: 50,
  });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  for (const one of stubs) await one.stop();
});

async function stub(answering: Answering): Promise<Stub> {
  const one = await startStub(answering);
  stubs.push(one);
  return one;
}

/** No health in the way, and no budget unless a scenario is about it. */
function settings(
  retry: Partial<Retry>,
  timeouts: Partial<ServiceSet['timeouts']> = {},
): Partial<ServiceSet> {
  return {
    health: { max_fails: 0, fail_timeout_ms: 10_000 },
    retry: { tries: 2, budget_percent: 100, ...retry },
    timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000, ...timeouts },
  };
}

let names = 0;
/** Serves the instances under a service name of their own, and gives it. */
async function serve(
  instances: readonly {
    readonly id: string;
    readonly host: string;
    readonly port: number;
    readonly version: string;
  }[],
  more: Partial<ServiceSet>,
): Promise<string> {
  const name = `svc${String(++names)}`;
  await bench.serve(
    name,
    instances.map((one) => peer(one)),
    more,
  );
  return name;
}

async function askMany(
  service: string,
  count: number,
  options: Parameters<Workbench['ask']>[2] = {},
  path = '/',
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (let sent = 0; sent < count; sent += 1) answers.push(await bench.ask(service, path, options));
  return answers;
}

const statuses = (answers: readonly Answer[]): readonly number[] =>
  [...new Set(answers.map(({ status }) => status))].sort();
const codeOf = (answer: Answer): unknown => (JSON.parse(answer.text) as { readonly code: unknown }).code;

/** Something that nobody listens on. */
async function nobody(): Promise<{ id: string; host: string; port: number; version: string }> {
  const port = await reservePort();
  return { id: `127.0.0.1:${String(port)}`, host: '127.0.0.1', port, version: 'v1' };
}

async function metric(line: string): Promise<number> {
  const { text } = await bench.admin('/metrics');
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

describe('what is tried elsewhere', () => {
  test.each<[Partial<Retry>, 'GET' | 'POST', number, boolean]>([
    [{}, 'GET', 503, false],
    [{ on: 'gateway_error' }, 'GET', 502, true],
    [{ on: 'gateway_error' }, 'GET', 503, true],
    [{ on: 'gateway_error' }, 'GET', 504, true],
    [{ on: 'gateway_error' }, 'GET', 500, false],
    [{ on: 'gateway_error' }, 'POST', 503, false],
    [{ on: 'server_error' }, 'GET', 500, true],
    [{ on: 'server_error' }, 'GET', 429, true],
    [{ on: 'server_error' }, 'GET', 503, true],
    [{ on: 'server_error' }, 'GET', 404, false],
    [{ on: 'server_error' }, 'POST', 500, false],
    [{ on: 'gateway_error', non_idempotent: true }, 'POST', 503, true],
    [{ on: 'server_error', non_idempotent: true }, 'POST', 500, true],
  ])('%j: %s answered by %i, tried elsewhere: %s', async (retry, method, status, elsewhere) => {
    const [bad, good] = [await stub(saying(status)), await stub(saying(200))];
    const service = await serve([bad, good], settings(retry));
    const answers = await askMany(service, 10, { method, ...(method === 'POST' ? { body: 'x' } : {}) });
    expect(statuses(answers)).toEqual(elsewhere ? [200] : [200, status]);
    expect(bad.seen.length).toBe(5);
    expect(good.seen.length).toBe(elsewhere ? 10 : 5);
    for (const answer of answers) expect(answer.text).toBe(`instance says ${String(answer.status)}`);
  });

  test("when every instance says no, the last one's own answer passes, and each was asked once", async () => {
    const three = [await stub(saying(503)), await stub(saying(503)), await stub(saying(503))];
    const service = await serve(three, settings({ tries: 5, on: 'gateway_error' }));
    const answer = await bench.ask(service);
    expect(answer).toMatchObject({ status: 503, text: 'instance says 503' });
    expect(three.map(({ seen }) => seen.length)).toEqual([1, 1, 1]);
  });

  test('a set may change its mind under traffic: no request fails', async () => {
    const two = [await startInstance({ service: 'mind' }), await startInstance({ service: 'mind' })];
    await bench.serve(
      'mind',
      two.map((one) => peer(one)),
      settings({}),
    );
    const failed: Answer[] = [];
    let asked = 0;
    let over = false;
    const traffic = Array.from({ length: 4 }, async () => {
      while (!over) {
        asked += 1;
        const answer = await bench.ask('mind');
        if (answer.status !== 200) failed.push(answer);
      }
    });
    for (const on of ['gateway_error', 'server_error', 'error', 'server_error', 'error'] as const)
      await bench.serve(
        'mind',
        two.map((one) => peer(one)),
        settings({ on }),
      );
    await until('it was used', () => asked > 50);
    over = true;
    await Promise.all(traffic);
    expect(failed).toEqual([]);
    for (const one of two) await one.stop();
  });
});

describe('what is not idempotent', () => {
  test.each([
    ['a small body', 100],
    ['a large one', 1_000_000],
  ])('refused, it goes elsewhere, with %s', async (_name, length) => {
    const good = await stub(saying(200));
    const service = await serve([await nobody(), good], settings({}));
    const answers = await askMany(service, 6, { method: 'POST', body: Buffer.alloc(length) });
    expect(statuses(answers)).toEqual([200]);
    expect(good.seen.map((one) => one.length)).toEqual(Array.from({ length: 6 }, () => length));
  });

  test.each(['POST', 'PATCH', 'LOCK'] as const)('sent and reset, %s is not replayed', async (method) => {
    const [bad, good] = [await stub(resetting), await stub(saying(200))];
    const service = await serve([bad, good], settings({ on: 'server_error' }));
    const answers = await askMany(service, 6, { method: method as 'POST', body: 'x' });
    expect(statuses(answers)).toEqual([200, 502]);
    expect([bad.seen.length, good.seen.length]).toEqual([3, 3]);
  });

  test('unless the service says so; a body that is still on its way cannot be', async () => {
    const [bad, good] = [await stub(resetting), await stub(saying(200))];
    const service = await serve([bad, good], settings({ non_idempotent: true }));
    expect(statuses(await askMany(service, 6, { method: 'POST', body: 'x' }))).toEqual([200]);
    expect([bad.seen.length, good.seen.length]).toEqual([3, 6]);
    const large = await askMany(service, 6, { method: 'POST', body: Buffer.alloc(1_000_000) });
    expect(statuses(large)).toEqual([200, 502]);
  });
});

describe('the retry budget', () => {
  test('bounds what retries add, shows it, and leaves answers as they are', async () => {
    const two = [await stub(saying(503)), await stub(saying(503))];
    const budget = { on: 'gateway_error', budget_percent: 20, budget_min_per_s: 0 } as const;
    const service = await serve(two, settings(budget));
    const answers = await askMany(service, 200);
    expect(statuses(answers)).toEqual([503]);
    expect(answers.every(({ text }) => text === 'instance says 503')).toBe(true);
    const tried = two.reduce((sum, { seen }) => sum + seen.length, 0);
    expect(tried).toBeGreaterThan(200 + 20);
    expect(tried).toBeLessThanOrEqual(200 + 40);
    const label = `{service="${service}"}`;
    expect(await metric(`ebbgate_retry_budget_exhausted_total${label}`)).toBeGreaterThan(100);
    expect(await metric(`ebbgate_retries_total${label}`)).toBe(tried - 200);
  });

  test('is true for what got no answer too', async () => {
    const two = [await stub(resetting), await stub(resetting)];
    const service = await serve(two, settings({ budget_percent: 10, budget_min_per_s: 0 }));
    const answers = await askMany(service, 100);
    expect(statuses(answers)).toEqual([502]);
    const tried = two.reduce((sum, { seen }) => sum + seen.length, 0);
    expect(tried).toBeLessThanOrEqual(110);
    expect(await metric(`ebbgate_retry_budget_exhausted_total{service="${service}"}`)).toBeGreaterThan(50);
  });

  test('allows a few whatever the share', async () => {
    const two = [await stub(saying(503)), await stub(saying(200))];
    const service = await serve(
      two,
      settings({ on: 'gateway_error', budget_percent: 0, budget_min_per_s: 100 }),
    );
    expect(statuses(await askMany(service, 20))).toEqual([200]);
  });

  test('is not touched by what never reached an instance', async () => {
    const good = await stub(saying(200));
    const service = await serve([await nobody(), good], settings({ budget_percent: 0, budget_min_per_s: 0 }));
    expect(statuses(await askMany(service, 40))).toEqual([200]);
    expect(await metric(`ebbgate_retry_budget_exhausted_total{service="${service}"}`)).toBe(0);
  });
});

describe('time', () => {
  const timed = async (ask: () => Promise<Answer>): Promise<readonly [Answer, number]> => {
    const began = performance.now();
    const answer = await ask();
    return [answer, performance.now() - began];
  };

  test('a try is given up after try_ms, and the next one answers', async () => {
    const [bad, good] = [await stub(hanging), await stub(saying(200))];
    const service = await serve([bad, good], settings({}, { try_ms: 200 }));
    expect(statuses(await askMany(service, 6))).toEqual([200]);
    expect(bad.seen.length).toBe(3);
  });

  test('no try begins after total_ms, and none waits past it', async () => {
    const three = [await stub(hanging), await stub(hanging), await stub(hanging)];
    const service = await serve(three, settings({ tries: 3 }, { try_ms: 400, total_ms: 600 }));
    const [answer, ms] = await timed(() => bench.ask(service));
    expect(answer.status).toBe(504);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(answer.text)).toMatchObject({ status: 504, code: 'gateway_timeout' });
    expect(ms).toBeGreaterThan(590);
    expect(ms).toBeLessThan(5_000);
    expect(three.map(({ seen }) => seen.length).sort()).toEqual([0, 1, 1]);
  });

  test('total_ms alone bounds the only try', async () => {
    const service = await serve([await stub(hanging)], settings({}, { total_ms: 300 }));
    const [answer, ms] = await timed(() => bench.ask(service));
    expect([answer.status, codeOf(answer)]).toEqual([504, 'gateway_timeout']);
    expect(ms).toBeLessThan(5_000);
  });

  test('a time-out that nobody is left for is still a 504', async () => {
    const service = await serve([await stub(hanging)], settings({}, { read_ms: 200 }));
    const answer = await bench.ask(service);
    expect([answer.status, codeOf(answer)]).toEqual([504, 'instance_timeout']);
  });

  test('a body that drips is not bounded, nor is the silence of a WebSocket', async () => {
    const dripping = await stub((response) => {
      let pieces = 0;
      const drip = setInterval(() => {
        pieces += 1;
        response.write('x');
        if (pieces < 8) return;
        clearInterval(drip);
        response.end();
      }, 200);
    });
    const service = await serve([dripping], settings({}, { try_ms: 1_000, total_ms: 1_000 }));
    expect(await bench.ask(service)).toMatchObject({ status: 200, text: 'xxxxxxxx' });

    const instance = await startInstance({ service: 'socket' });
    for (const retry of [{}, { on: 'server_error' }] as const) {
      const name = await serve([instance], settings(retry, { try_ms: 200, total_ms: 200 }));
      const socket = new WebSocket(`${bench.gateway.url.replace('http', 'ws')}/ws`, {
        headers: { host: hostOf(name) },
      });
      const echoed = new Promise<string>((resolve, reject) => {
        socket.once('message', (data: Buffer) => {
          resolve(data.toString());
        });
        socket.once('close', () => {
          reject(new Error('closed'));
        });
        socket.once('error', reject);
      });
      await until('the socket is open', () => socket.readyState === WebSocket.OPEN);
      await timePasses('nobody says anything', 500);
      socket.send('still here');
      expect(await echoed).toBe('still here');
      socket.terminate();
    }
    await instance.stop();
  });
});

describe('a kept connection that breaks', () => {
  const oncePerConnection: Answering = (response, seen, request) => {
    if (seen.turn > 1) request.socket.destroy();
    else saying(200)(response, seen, request);
  };

  test('is opened again for the only instance, if the request may be repeated', async () => {
    const only = await stub(oncePerConnection);
    const service = await serve([only], settings({ tries: 1 }));
    expect(statuses(await askMany(service, 20))).toEqual([200]);
    expect(only.seen.some(({ turn }) => turn === 2)).toBe(true);
    const posts = await askMany(service, 20, { method: 'POST', body: 'x' });
    expect(statuses(posts)).toEqual([200, 502]);
  });

  test('sends the request to another instance if there is one, never to the same again', async () => {
    const two = [await stub(oncePerConnection), await stub(saying(200))];
    const service = await serve(two, settings({}));
    expect(statuses(await askMany(service, 20))).toEqual([200]);
    const [first] = two;
    const tries = new Map<string, number>();
    const log = await untilValue(
      'the access log',
      () =>
        readFileSync(bench.gateway.accessLog, 'utf8')
          .split('\n')
          .filter((line) => line.includes(`"service":"${service}"`)),
      (lines) => lines.length === 20,
    );
    for (const line of log)
      for (const id of (JSON.parse(line) as { readonly instances: string }).instances.split(', '))
        tries.set(`${line}${id}`, (tries.get(`${line}${id}`) ?? 0) + 1);
    expect(Math.max(...tries.values())).toBe(1);
    expect(first?.seen.some(({ turn }) => turn === 2)).toBe(true);
  });

  test('a new connection that breaks is not opened again', async () => {
    const broken = await stub(resetting);
    const service = await serve([broken], settings({ tries: 3 }));
    expect((await bench.ask(service)).status).toBe(502);
    expect(broken.seen.length).toBe(1);
  });
});

test('an address that another service takes over gets none of the connections that were kept: no POST fails', async () => {
  const first = await startInstance({ service: 'first' });
  const before = await serve([first], settings({}));
  expect(statuses(await askMany(before, 20, { method: 'POST', body: 'x' }))).toEqual([200]);
  await bench.serve(before, [], settings({}));
  await first.stop();
  const second = await startInstance({ service: 'second', port: first.port });
  const after = await serve([second], settings({}));
  const answers = await askMany(after, 20, { method: 'POST', body: 'x' });
  expect(statuses(answers)).toEqual([200]);
  expect(answers.every(({ text }) => text.includes('"service":"second"'))).toBe(true);
  expect((await bench.ask(before)).status).toBe(503);
  await second.stop();
});

describe('limits', () => {
  test.each<[string, (service: string) => Promise<Answer>, number, string]>([
    [
      'a body',
      (service) => bench.ask(service, '/', { method: 'PUT', body: Buffer.alloc(5_000_000) }),
      413,
      'too_large',
    ],
    ['a request line', (service) => bench.ask(service, `/${'x'.repeat(6_000)}`), 414, 'uri_too_long'],
    [
      'a header line',
      (service) => bench.ask(service, '/', { headers: { 'x-long': 'x'.repeat(6_000) } }),
      400,
      'bad_request',
    ],
  ])('%s that is too long is refused by a problem', async (_name, ask, status, code) => {
    const service = await serve([await stub(saying(200))], settings({}));
    const answer = await ask(service);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });

  test('after so many requests a connection to an instance is closed', async () => {
    const service = await serve([await stub(saying(200))], settings({}));
    await askMany(service, 120);
    expect(Math.max(...(stubs.at(-1)?.seen ?? []).map(({ turn }) => turn))).toBe(50);
  });
});

describe('what is reported', () => {
  test('the trace goes through, and is in the log with version and tries', async () => {
    const [bad, good] = [await stub(saying(503)), await stub(saying(200))];
    const service = await serve([bad, { ...good, version: 'v7' }], settings({ on: 'gateway_error' }));
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
    await askMany(service, 2, { headers: { traceparent, tracestate: 'a=1,b=2' } });
    for (const { headers } of [...bad.seen, ...good.seen])
      expect(headers).toMatchObject({ traceparent, tracestate: 'a=1,b=2' });
    const lines = await untilValue(
      'two lines in the access log',
      () =>
        readFileSync(bench.gateway.accessLog, 'utf8')
          .split('\n')
          .filter((line) => line.includes(`"service":"${service}"`))
          .map((line) => JSON.parse(line) as Record<string, unknown>),
      (found) => found.length === 2,
    );
    const retried = lines.find(({ tries }) => tries === 2);
    expect(retried).toMatchObject({
      trace_id: trace,
      version: 'v7',
      instances: `${bad.id}, ${good.id}`,
      status: 200,
      upstream_status: '503, 200',
    });
    expect(retried).toHaveProperty('request_time');
    for (const name of ['upstream_connect_time', 'upstream_header_time', 'upstream_time'])
      expect(String(retried?.[name])).toMatch(/^\d\.\d{3}, \d\.\d{3}$/);
    await bench.ask(service, '/', { headers: { traceparent: '00-short-x-01"}' } });
    await untilValue(
      'a line without a trace',
      () =>
        readFileSync(bench.gateway.accessLog, 'utf8')
          .split('\n')
          .filter((line) => line.includes(`"${service}"`)),
      (found) => found.length === 3 && found.some((line) => line.includes('"trace_id":""')),
    );
  });

  test('a set that names a TLS profile which this gateway lacks is rejected, and the one before it serves', async () => {
    const good = await stub(saying(200));
    const upstream = { scheme: 'https', tls: 'nowhere' } as const;
    await bench.serve('tls-less', [peer(good)], settings({}));
    const position = await bench.publish('tls-less', [peer(good)], { ...settings({}), upstream });
    const rejected = {
      service: 'tls-less',
      generation: expect.anything() as unknown,
      code: 'unknown_profile',
    };
    const beat = await bench.heard('rejected', (one) => one.rejected.length > 0);
    expect(beat.rejected).toEqual([rejected]);
    expect(position.generation).toBeGreaterThan(0);
    expect((await bench.ask('tls-less')).status).toBe(200);
    await bench.publish('tls-new', [peer(good)], { ...settings({}), upstream: { scheme: 'grpcs' } });
    await bench.heard('both rejected', (one) => one.rejected.length === 2);
    await until('it has a route and no instance', async () => (await bench.ask('tls-new')).status === 503);
    expect(await metric('ebbgate_rejected_sets')).toBe(2);
    await bench.serve('tls-less', [peer(good)], settings({}));
    await bench.serve('tls-new', [peer(good)], settings({}));
    await bench.heard('mended', (one) => one.rejected.length === 0);
  });
});

test('a client that leaves in a location of its own is counted out', async () => {
  const service = await serve([await stub(hanging)], settings({ on: 'server_error' }));
  const socket = connect({ port: bench.place.port, host: '127.0.0.1' });
  socket.write(`GET / HTTP/1.1\r\nHost: ${hostOf(service)}\r\n\r\n`);
  await bench.heard('it is open', ({ in_flight }) => Object.keys(in_flight).length === 1);
  socket.destroy();
  await bench.heard('it is gone', ({ in_flight }) => Object.keys(in_flight).length === 0);
});

test('after all this nothing is in flight, and no error but the expected ones is in the log', async () => {
  const beat = await bench.heard('nothing in flight', ({ in_flight }) => Object.keys(in_flight).length === 0);
  expect(beat.uncounted).toBe(0);
  const expected =
    /Connection refused|prematurely closed|reset by peer|timed out|too large body|no live upstreams|unknown_profile|recv\(\) failed|Broken pipe/;
  const unexpected = readFileSync(bench.gateway.errorLog, 'utf8')
    .split('\n')
    .filter((line) => /\[(error|crit|alert|emerg)\]/.test(line) && !expected.test(line));
  expect(unexpected).toEqual([]);
});
