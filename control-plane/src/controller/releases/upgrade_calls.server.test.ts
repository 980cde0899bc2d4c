import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock as clock } from '../../clock.js';
import { createHooks } from '../../hooks/hooks.js';
import type { Hooks } from '../../model/hooks.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { InPlaceStrategy } from '../../model/release_strategy.js';
import { createRecordingLog } from '../../testing/log.js';
import { buildBatchInstance, buildInPlace, type InPlaceParts } from '../../testing/releases.js';
import { UpgradeCalls } from './upgrade_calls.js';

/*
 * The calls of releases against a real server and a real command.
 */

interface Asked {
  readonly key: string;
  readonly body: unknown;
}

let server: Server;
let url: string;
let dir: string;
let hooks: Hooks;
let asked: Asked[];
/** What the next calls are answered; 0 = nothing, the connection is cut. The last one stays. */
let answers: number[];
/** Answers wait for it. */
let gate: Promise<void>;
let wakes: number;

beforeEach(async () => {
  [asked, answers, gate, wakes] = [[], [204], Promise.resolve(), 0];
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-effects-'));
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      asked.push({ key: String(request.headers['idempotency-key']), body: JSON.parse(text) });
      const status = (answers.length > 1 ? answers.shift() : answers[0]) ?? 204;
      void gate.then(() => {
        if (status === 0) response.destroy();
        else response.writeHead(status).end();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/upgrade`;
  hooks = createHooks({ prefixes: [url], commands: dir, path: process.env['PATH'] ?? '', clock });
});
afterEach(async () => {
  await hooks.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

const effects = (): UpgradeCalls =>
  new UpgradeCalls({ hooks, clock, log: createRecordingLog(), wake: () => (wakes += 1) });
function upgrading(parts: InPlaceParts = {}, upgrade?: InPlaceStrategy['upgrade']): ReleaseRecord {
  const batch = [buildBatchInstance('i1', 'upgrading'), buildBatchInstance('i2', 'upgrading')];
  return buildInPlace(
    {
      ...{ state: 'progressing', phase: 'upgrading', step: 1 },
      ...parts,
      progress: { batch, ...parts.progress },
    },
    { upgrade: upgrade ?? { webhook: { url, timeout_ms: 2_000 } } },
  );
}
/** Passes go on until `done`. */
async function passes(one: UpgradeCalls, record: ReleaseRecord, done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error('it never came to that');
    one.run([record]);
    await pause(10);
  }
}

it('one call for a batch, however many passes look; what came of it is kept while the record is current', async () => {
  let open = (): void => undefined;
  gate = new Promise((resolve) => (open = resolve));
  const one = effects();
  const record = upgrading();
  await passes(one, record, () => asked.length > 0);
  for (let pass = 0; pass < 50; pass += 1) one.run([record]);
  expect(one.outcomeOf(record)).toBeNull();
  open();
  await passes(one, record, () => one.outcomeOf(record) !== null);
  expect(one.outcomeOf(record)).toEqual({ outcome: 'accepted', reason: '' });
  expect(wakes).toBe(1);
  for (let pass = 0; pass < 50; pass += 1) one.run([record]);
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({
    key: 'rel-1/1/1',
    body: {
      release: 'rel-1',
      service: 'shop',
      step: 1,
      attempt: 1,
      from: 'v1',
      to: 'v2',
      instances: [{ id: 'i1' }, { id: 'i2' }],
    },
  });
  // Another attempt is another call, and of the one before nothing is known any more.
  await passes(one, { ...record, attempt: 2 }, () => asked.length === 2);
  expect(asked[1]?.key).toBe('rel-1/1/2');
  expect(one.outcomeOf(record)).toBeNull();
});

it('without an answer the same call is made again, with pauses; another controller repeats it too', async () => {
  answers = [0, 503, 204];
  const one = effects();
  const record = upgrading();
  await passes(one, record, () => asked.length === 1 && one.failureOf(record) !== '');
  expect(one.outcomeOf(record)).toBeNull();
  expect(one.retryAt).toBeGreaterThan(performance.now());
  await passes(one, record, () => one.outcomeOf(record) !== null);
  expect(one.failureOf(record)).toBe('');
  const next = effects();
  await passes(next, record, () => next.outcomeOf(record) !== null);
  expect(asked).toHaveLength(4);
  expect(new Set(asked.map((call) => JSON.stringify(call))).size).toBe(1);
});

it('a call that nobody wants now wakes nobody', async () => {
  answers = [503];
  const one = effects();
  const record = upgrading();
  await passes(one, record, () => one.failureOf(record) !== '');
  const paused = {
    cause: 'person',
    by: 'ann',
    message: '',
    state: 'progressing',
    phase: 'upgrading',
  } as const;
  one.run([{ ...record, state: 'paused', phase: null, paused }]);
  expect(one.retryAt).toBe(Infinity);
});

it('a refusal is final, and says why', async () => {
  answers = [422];
  const one = effects();
  await passes(one, upgrading(), () => one.outcomeOf(upgrading()) !== null);
  expect(one.outcomeOf(upgrading())).toMatchObject({ outcome: 'refused' });
  expect(one.outcomeOf(upgrading())?.reason).toContain('422');
  for (let pass = 0; pass < 50; pass += 1) one.run([upgrading()]);
  expect(asked).toHaveLength(1);
});

it('nothing is called before the phase, after its outcome, or while it is paused', async () => {
  const one = effects();
  const paused = {
    cause: 'person',
    by: 'ann',
    message: '',
    state: 'progressing',
    phase: 'upgrading',
  } as const;
  const others = [
    upgrading({ phase: 'draining' }),
    upgrading({ state: 'paused', phase: null, paused }),
    upgrading({ progress: { called: { outcome: 'accepted', reason: '' } } }),
  ];
  for (const other of others) one.run([other]);
  await passes(one, upgrading({ id: 'rel-2' }), () => asked.length > 0);
  expect(asked.map(({ key }) => key)).toEqual(['rel-2/1/1']);
});

it('a command gets the same by its environment', async () => {
  const out = join(dir, 'out');
  writeFileSync(
    join(dir, 'upgrade.sh'),
    `#!/bin/sh\necho "$EBBGATE_KEY $EBBGATE_FROM $EBBGATE_TO $EBBGATE_IDS" > ${out}\necho "$EBBGATE_INSTANCES" >> ${out}\n`,
  );
  chmodSync(join(dir, 'upgrade.sh'), 0o755);
  const one = effects();
  const record = upgrading({}, { command: { name: 'upgrade.sh', timeout_ms: 10_000 } });
  await passes(one, record, () => one.outcomeOf(record) !== null);
  expect(one.outcomeOf(record)).toEqual({ outcome: 'accepted', reason: '' });
  const [first, second] = readFileSync(out, 'utf8').split('\n');
  expect(first).toBe('rel-1/1/1 v1 v2 i1 i2');
  expect(JSON.parse(second ?? '')).toMatchObject([{ id: 'i1', port: 8080 }, { id: 'i2' }]);
});
