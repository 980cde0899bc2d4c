import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../clock.js';
import { createHooks } from '../../hooks/hooks.js';
import { createPrometheus } from '../../hooks/prometheus.js';
import { reservePort } from '../../local/port_reservation.js';
import { type LocalProcess } from '../../local/process.js';
import { launchPrometheus } from '../../local/prometheus.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { GateAnswer, Gates, PrometheusGate } from '../../model/release_gates.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { buildRelease } from '../../testing/releases.js';
import { refuseGates, OuterGates } from './outer_gates.js';

/*
 * Gates that are asked outside, against a web server and a Prometheus that are real.
 */

interface Asked {
  readonly key: unknown;
  readonly body: unknown;
}
let server: Server;
let base: string;
let handle: (asked: Asked, response: ServerResponse, request: IncomingMessage) => void;
let asked: Asked[];

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      if (request.url === '/metrics') {
        response.setHeader('content-type', 'text/plain; version=0.0.4');
        response.end('lag{service="shop",version="v1"} 1.5\nlag{service="shop",version="v2"} 7\nodd NaN\n');
        return;
      }
      const one = { key: request.headers['idempotency-key'], body: JSON.parse(text) as unknown };
      asked.push(one);
      handle(one, response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** A release that soaks and has begun a round of questions. */
function asking(gates: Partial<Gates>, record: Partial<ReleaseRecord> = {}): ReleaseRecord {
  return buildRelease({
    ...{ state: 'progressing', phase: 'soaking', step: 1, shares: { v1: 90, v2: 10 } },
    gates: { ...buildRelease().gates, ...gates },
    inquiry: { n: 3, at: '2026-05-01T12:00:05.000Z', asked_ms: 5_000, readings: [], open: true, answers: {} },
    ...record,
  });
}
const webhook = (timeout_ms = 10_000): Partial<Gates> => ({
  webhooks: [{ name: 'ci', url: `${base}/hooks/gate`, timeout_ms }],
});

interface Opened extends AsyncDisposable {
  readonly gates: OuterGates;
  /** Asks until the gate is answered. */
  answer(record: ReleaseRecord, gate: string): Promise<GateAnswer>;
}
function open(prometheusBase = '', prefix = `${base}/hooks`): Opened {
  const hooks = createHooks({ prefixes: [prefix], commands: '', path: '', clock: systemClock });
  const prometheus = createPrometheus(prometheusBase, systemClock);
  const gates = new OuterGates({
    ...{ hooks, prometheus, clock: createFakeClock(), log: createRecordingLog() },
    wake: () => undefined,
  });
  return {
    gates,
    answer: async (record, gate) => {
      const key = `rel-1/1/1/${gate}/3`;
      gates.ask([record]);
      await expect.poll(() => gates.answers()[key], { timeout: 20_000 }).toBeDefined();
      return gates.answers()[key]!;
    },
    [Symbol.asyncDispose]: async () => {
      gates.stop();
      await hooks.close();
      await prometheus.close();
      await gates.close();
    },
  };
}

describe('a webhook', () => {
  let opened: Opened;
  beforeEach(() => {
    asked = [];
    opened = open();
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  it('is asked once for each question, however often the record is looked at', async () => {
    handle = (_asked, response) => response.end('{"verdict":"abort","message":"red"}');
    const record = asking(webhook());
    opened.gates.ask([record]);
    opened.gates.ask([record]);
    expect(await opened.answer(record, 'webhook:ci')).toEqual({
      ...{ verdict: 'abort', value: null, message: 'red', at: '2026-11-21T00:00:00.000Z' },
    });
    opened.gates.ask([record]);
    expect(asked).toMatchObject([
      { key: 'rel-1/1/1/webhook:ci/3', body: { release: 'rel-1', step: 1, at: '2026-05-01T12:00:05.000Z' } },
    ]);
  });

  it('is not remembered once nobody asks any more', async () => {
    handle = (_asked, response) => response.end('{"verdict":"wait"}');
    await opened.answer(asking(webhook()), 'webhook:ci');
    opened.gates.ask([asking(webhook(), { inquiry: null })]);
    expect(opened.gates.answers()).toEqual({});
  });

  it.each<[string, (response: ServerResponse) => void, RegExp]>([
    ['says nothing that is understood', (response) => response.end('{"verdict":"yes"}'), /none of continue/],
    ['answers 500', (response) => response.writeHead(500).end(), /answered 500/],
    ['answers no JSON', (response) => response.end('<html>'), /no JSON/],
    ['redirects', (response) => response.writeHead(302, { location: '/hooks/x' }).end(), /redirects/],
    ['is silent', () => undefined, /timed out/],
    ['hangs up', (response) => response.destroy(), /.+/],
  ])('that %s is inconclusive', async (_name, answer, reason) => {
    handle = (_asked, response) => {
      answer(response);
    };
    const answered = await opened.answer(asking(webhook(300)), 'webhook:ci');
    expect(answered).toMatchObject({
      verdict: 'inconclusive',
      message: expect.stringMatching(reason) as string,
    });
  });

  it('has not answered a controller that stops: the next one asks under the same key', async () => {
    handle = () => undefined;
    const record = asking(webhook());
    opened.gates.ask([record]);
    await expect.poll(() => asked.length).toBe(1);
    await opened[Symbol.asyncDispose]();
    expect(opened.gates.answers()).toEqual({});
    handle = (_asked, response) => response.end('{"verdict":"continue"}');
    await using next = open();
    expect(await next.answer(record, 'webhook:ci')).toMatchObject({ verdict: 'pass' });
    expect(asked[1]).toEqual(asked[0]);
  });

  it('outside of the allowed prefixes is refused at the start, and never asked', async () => {
    const gates = { webhooks: [{ name: 'ci', url: `${base}/elsewhere`, timeout_ms: 100 }] };
    const hooks = createHooks({ prefixes: [`${base}/hooks`], commands: '', path: '', clock: systemClock });
    expect(refuseGates(gates, { hooks, prometheus: createPrometheus('', systemClock) })).toMatchObject({
      code: 'invalid_request',
      field: 'body.gates.webhooks.0.url',
      detail: expect.stringContaining('EBBGATE_HOOKS') as string,
    });
    expect(refuseGates(webhook(), { hooks, prometheus: createPrometheus('', systemClock) })).toBe(null);
    expect(await opened.answer(asking(gates), 'webhook:ci')).toMatchObject({ verdict: 'inconclusive' });
    expect(asked).toEqual([]);
  });
});

describe('Prometheus', () => {
  let dir: string;
  let prometheus: LocalProcess;
  let url: string;
  let opened: Opened;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'ebbgate-prometheus-'));
    const port = await reservePort();
    url = `http://127.0.0.1:${String(port)}`;
    prometheus = await launchPrometheus({ dir, port, targets: [new URL(base).host] });
    const there = createPrometheus(url, systemClock);
    const scraped = { ok: true, value: { data: { result: [{}, {}] } } };
    await vi.waitFor(async () => expect(await there.query('lag', 5_000)).toMatchObject(scraped), {
      timeout: 30_000,
      interval: 50,
    });
    opened = open(`${url}/`);
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
    await prometheus.stop();
    rmSync(dir, { recursive: true });
  });
  const gate = (query: string, max: number | null = 5): PrometheusGate => ({
    name: 'lag',
    query,
    max,
    min: null,
  });

  it.each<[string, string, number | null, Partial<GateAnswer>]>([
    [
      'the target, too much',
      'lag{service="{{service}}",version="{{target}}"}',
      5,
      { verdict: 'fail', value: 7 },
    ],
    [
      'the target, within',
      'lag{service="{{service}}",version="{{target}}"}',
      7,
      { verdict: 'pass', value: 7 },
    ],
    ['the stable one', 'lag{version="{{stable}}"}', 5, { verdict: 'pass', value: 1.5 }],
    ['a scalar', 'scalar(sum(lag))', 5, { verdict: 'fail', value: 8.5 }],
    ['infinity', 'sum(lag) / 0', 5, { verdict: 'fail', value: null }],
    ['NaN', 'odd', 5, { verdict: 'inconclusive' }],
    ['nothing', 'lag{version="v9"}', 5, { verdict: 'inconclusive' }],
    ['two samples', 'lag', 5, { verdict: 'inconclusive' }],
    ['a matrix', 'lag[1m]', 5, { verdict: 'inconclusive' }],
    ['nonsense', 'lag{', 5, { verdict: 'inconclusive' }],
  ])('%s', async (_name, query, max, expected) => {
    const answer = await opened.answer(asking({ prometheus: [gate(query, max)] }), 'prometheus:lag');
    expect(answer).toMatchObject(expected);
    if (answer.verdict === 'inconclusive') expect(answer.message).not.toBe('');
    opened.gates.ask([]);
  });

  it('is refused at the start where none is offered, and where a placeholder has no meaning', () => {
    const hooks = createHooks({ prefixes: [], commands: '', path: '', clock: systemClock });
    const reported = (query: string, at: string) =>
      refuseGates({ prometheus: [gate(query)] }, { hooks, prometheus: createPrometheus(at, systemClock) });
    expect(reported('lag', '')).toMatchObject({
      field: 'body.gates.prometheus.0',
      detail: expect.stringContaining('EBBGATE_PROMETHEUS') as string,
    });
    expect(reported('lag', url)).toBe(null);
    expect(reported('lag{v="{{version}}"}', url)).toMatchObject({
      field: 'body.gates.prometheus.0.query',
      detail: expect.stringContaining('{{version}}') as string,
    });
  });

  it('is not asked where none is offered any more', async () => {
    await using other = open('');
    const answer = await other.answer(asking({ prometheus: [gate('lag')] }), 'prometheus:lag');
    expect(answer).toMatchObject({
      verdict: 'inconclusive',
      message: expect.stringContaining('EBBGATE_PROMETHEUS') as string,
    });
  });
});
