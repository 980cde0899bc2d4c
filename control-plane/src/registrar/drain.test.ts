import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { askApi } from './ask_api.js';
import { waitDrained, type AskDrained } from './drain.js';

type Answer = { readonly status?: number; readonly text: string };

let answer: (request: IncomingMessage) => Answer;
let close: () => void;
let ask: AskDrained;
let token: string;

beforeEach(async () => {
  const server = createServer((request, response) => {
    const { status = 200, text } = answer(request);
    response.writeHead(status).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const api = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  token = 'secret';
  ask = askApi({ api, service: 'shop', instance: '[fd00::1]:80', token: () => token, clock, timeoutMs: 300 });
  close = () => {
    server.close();
    server.closeAllConnections();
  };
});
afterEach(() => {
  close();
});

const instance = (leaving: boolean, drain: unknown): Answer => ({ text: JSON.stringify({ leaving, drain }) });

test.each<[string, Answer, object]>([
  ['drained', instance(true, { drained: true, waiting_for: [] }), { kind: 'drained' }],
  [
    'not seen leaving: a proof of before does not count',
    instance(false, { drained: true, waiting_for: [] }),
    { kind: 'waiting', waiting_for: [expect.stringContaining('leave')] },
  ],
  [
    'open requests',
    instance(true, { drained: false, waiting_for: ['gateway-1: 2 open requests'] }),
    { kind: 'waiting', waiting_for: ['gateway-1: 2 open requests'] },
  ],
  ['leaving, not yet in a set', instance(true, null), { kind: 'waiting' }],
  ['unknown instance', { status: 404, text: '{}' }, { kind: 'away', reason: expect.stringContaining('404') }],
  [
    'unknown to a controller that knows the registry',
    { status: 404, text: '{"code":"not_found"}' },
    { kind: 'unknown', reason: expect.stringContaining('404') },
  ],
  ['wrong token', { status: 401, text: '' }, { reason: expect.stringContaining('EBBGATE_TOKEN') }],
  ['not JSON', { text: '<html>' }, { kind: 'away' }],
  ['JSON, but no instance', { text: '[]' }, { kind: 'away' }],
  ['drained as text is no proof', instance(true, { drained: 'true' }), { kind: 'waiting' }],
])('%s', async (_, given, expected) => {
  answer = () => given;
  expect(await ask(new AbortController().signal)).toMatchObject(expected);
});

test('the question names the instance and carries the token of the moment', async () => {
  let asked: IncomingMessage | undefined;
  answer = (request) => {
    asked = request;
    return instance(true, { drained: true });
  };
  await ask(new AbortController().signal);
  expect(asked?.url).toBe('/v1/services/shop/instances/%5Bfd00%3A%3A1%5D%3A80');
  expect(asked?.headers.authorization).toBe('Bearer secret');
  token = 'another';
  await ask(new AbortController().signal);
  expect(asked?.headers.authorization).toBe('Bearer another');
});

test('an API that is away is no proof, and waiting ends with the signal', async () => {
  close();
  const waiting: (readonly string[])[] = [];
  const end = await waitDrained({
    clock,
    ask,
    signal: AbortSignal.timeout(300),
    onWaiting: (sentences) => waiting.push(sentences),
    everyMs: 20,
  });
  expect(end).toBe('unproven');
  expect(waiting).toHaveLength(1); // said once, although asked many times
  expect(waiting[0]?.[0]).toMatch(/does not answer/);
});

test('waits until the answer is drained, and says each change', async () => {
  const answers = [
    instance(false, null),
    instance(true, { drained: false, waiting_for: ['2 open'] }),
    instance(true, { drained: false, waiting_for: ['2 open'] }),
    instance(true, { drained: false, waiting_for: ['1 open'] }),
    instance(true, { drained: true, waiting_for: [] }),
  ];
  answer = () => answers.shift() ?? { status: 500, text: 'asked too often' };
  const said: string[] = [];
  const end = await waitDrained({
    clock,
    ask,
    signal: AbortSignal.timeout(10_000),
    onWaiting: (sentences) => said.push(...sentences),
    everyMs: 5,
  });
  expect(end).toBe('drained');
  expect(said).toEqual(['the controller to see this instance leave', '2 open', '1 open']);
});

test('an instance that nobody knows waits for nothing; one that is known in a moment waits for its proof', async () => {
  const never = { onWaiting: () => undefined, everyMs: 1, signal: AbortSignal.timeout(10_000) };
  const unknown: Answer = { status: 404, text: '{"code":"not_found"}' };
  answer = () => unknown;
  expect(await waitDrained({ ask, clock, ...never })).toBe('never_accepted');
  let asked = 0;
  answer = () =>
    ++asked < 8 ? unknown : asked < 12 ? instance(true, null) : instance(true, { drained: true });
  expect(await waitDrained({ ask, clock, ...never })).toBe('drained');
  asked = 0;
  answer = () =>
    ++asked < 30 ? { status: 503, text: '{"code":"not_ready"}' } : instance(true, { drained: true });
  expect(await waitDrained({ ask, clock, ...never })).toBe('drained');
});
