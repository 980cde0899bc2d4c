import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.js';
import { createApp } from '../api/app.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeProblem } from '../testing/resources.js';
import { askAcceptance, watchAcceptance, type Acceptance } from './acceptance.js';

const DATA = { id: '10.0.1.7:8080', host: '10.0.1.7', port: 8080 };
const PATH = '/services/shop/providers/10.0.1.7:8080';
const { signal } = new AbortController();
let plane: MemoryPlane;
let api: string;
let close: () => Promise<void>;

/** The real API in front of a plane that has what the test wants. */
beforeEach(async () => {
  plane = new MemoryPlane();
  const app = createApp({
    ...{ plane, log: createRecordingLog(), token: null, clock: systemClock, version: '1' },
    ...{ randomId: () => 'id', randomBytes, metrics: () => Promise.resolve(''), closing: signal },
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  api = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  close = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
});
afterEach(() => close());

const ask = (over: Partial<Parameters<typeof askAcceptance>[0]> = {}): Promise<Acceptance> =>
  askAcceptance({ clock: systemClock, api, service: 'shop', data: DATA, path: PATH, ...over })(signal);

test('accepted is an instance that is listed at the address that was registered', async () => {
  plane.add('shop', [DATA.id]);
  expect(await ask()).toEqual({ kind: 'accepted' });
  expect(await ask({ data: { ...DATA, port: 9 } })).toMatchObject({ kind: 'unknown' });
});

test('refused is what the controller says of this very node, and no note', async () => {
  plane.problemList = [
    makeProblem({ path: `${PATH}0` }),
    makeProblem({ path: PATH, severity: 'note', message: 'a note' }),
    makeProblem({ path: PATH, code: 'forbidden_host', message: 'host 127.0.0.1 is loopback' }),
  ];
  expect(await ask()).toEqual({ kind: 'refused', problem: 'forbidden_host: host 127.0.0.1 is loopback' });
});

test('unknown says why: not listed, or not asked', async () => {
  expect(await ask()).toMatchObject({
    kind: 'unknown',
    reason: expect.stringMatching(/same ZooKeeper/) as string,
  });
  await close();
  expect(await ask()).toMatchObject({
    kind: 'unknown',
    reason: expect.stringMatching(/does not answer/) as string,
  });
});

test('each answer is reported once, and nothing more is asked after an acceptance', async () => {
  const away: Acceptance = { kind: 'unknown', reason: 'away' };
  const answers: Acceptance[] = [
    ...Array.from({ length: 6 }, () => away),
    { kind: 'refused', problem: 'x' },
    { kind: 'refused', problem: 'x' },
    away,
    { kind: 'accepted' },
  ];
  const reported: string[] = [];
  await watchAcceptance({
    clock: systemClock,
    ask: () => Promise.resolve(answers.shift() ?? away),
    signal: AbortSignal.timeout(10_000),
    onTurn: ({ kind }) => reported.push(kind),
    everyMs: 1,
  });
  expect(reported).toEqual(['unknown', 'refused', 'accepted']);
});
