import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { NOT_FROZEN, type FreezeStore, type GlobalFreeze, type StoredFreeze } from '../model/freeze_ports.js';
import type { Lifecycle, Term } from '../model/ports.js';
import { createRecordingLog } from '../testing/log.js';
import { createOffice } from './epoch.js';
import { createFreezeStore } from './freezes.js';
import { ZooKeeperLink } from './link.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-zk-freezes-'));
const FROZEN: GlobalFreeze = {
  ...{ v: 1, rev: 1 },
  freeze: { by: 'ann', reason: 'payday', at: '2026-05-01T12:00:00.000Z' },
  events: [{ at: '2026-05-01T12:00:00.000Z', event: 'frozen', by: 'ann', message: 'payday' }],
};
let server: LocalProcess;
let port: number;
let opened: Lifecycle[] = [];
let link: ZooKeeperLink;
let roots = 0;
let root: string;

beforeAll(async () => {
  port = await reservePort();
  server = await launchZooKeeper({ dir, port });
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true });
});
beforeEach(async () => {
  root = `/ebbgate-${String((roots += 1))}`;
  link = new ZooKeeperLink({
    connect: `127.0.0.1:${String(port)}`,
    ...{ sessionTimeoutMs: 6_000, log: createRecordingLog(), clock, random: Math.random },
  });
  opened.push(link);
  await link.start();
  await until(() => {
    expect(link.connection).not.toBeNull();
  });
});
afterEach(async () => {
  for (const one of opened.toReversed()) await one.close();
  opened = [];
});

const until = (condition: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(condition, { timeout: 30_000, interval: 10 });

interface Shown {
  readonly store: FreezeStore;
  last: ReadonlyMap<string, StoredFreeze> | null;
}
async function opens(): Promise<Shown> {
  const shown: Shown = { store: createFreezeStore(link, { root }), last: null };
  shown.store.onChange((now) => {
    shown.last = now;
  });
  opened.push(shown.store);
  await shown.store.start();
  await until(() => {
    expect(shown.last).not.toBeNull();
  });
  return shown;
}
async function office(): Promise<Term> {
  const taken = await createOffice(link, { root, owner: 'one' }).take(0);
  if (!taken.ok) throw new Error(JSON.stringify(taken.error));
  return taken.value;
}

test('what one controller freezes another one shows, past every cache too', async () => {
  const [first, second] = [await opens(), await opens()];
  const term = await office();
  expect(await first.store.read('freeze')).toEqual({ ok: true, value: null });
  expect(await first.store.write(term, [{ etag: null, record: FROZEN }])).toMatchObject({ ok: true });
  // Whoever wrote it sees it at once.
  expect(first.last?.get('freeze')?.record).toEqual(FROZEN);
  await until(() => {
    expect(second.last?.get('freeze')?.record).toEqual(FROZEN);
  });
  const read = await second.store.read('freeze');
  expect(read).toMatchObject({ ok: true, value: { record: FROZEN, etag: second.last?.get('freeze')?.etag } });
});

test('one change is one compare-and-set, under the fence of the office', async () => {
  const { store } = await opens();
  const term = await office();
  await store.write(term, [{ etag: null, record: FROZEN }]);
  expect(await store.write(term, [{ etag: null, record: NOT_FROZEN }])).toMatchObject({
    ok: false,
    error: { kind: 'conflict' },
  });
  const read = await store.read('freeze');
  const etag = read.ok ? (read.value?.etag ?? null) : null;
  expect(await store.write(term, [{ etag, record: { ...NOT_FROZEN, rev: 2 } }])).toMatchObject({ ok: true });
  expect(await store.write(term, [{ etag, record: FROZEN }])).toMatchObject({
    ok: false,
    error: { kind: 'conflict' },
  });
  await office();
  const late = await store.read('freeze');
  const now = late.ok ? (late.value?.etag ?? null) : null;
  expect(await store.write(term, [{ etag: now, record: FROZEN }])).toMatchObject({
    ok: false,
    error: { kind: 'fenced' },
  });
});

test('a record that cannot be read is reported, and good again when it is mended', async () => {
  const shown = await opens();
  const term = await office();
  await shown.store.write(term, [{ etag: null, record: FROZEN }]);
  const set = async (text: string): Promise<void> => {
    const path = `${root}/global/freeze`;
    const done = await link.connection?.transaction([
      { kind: 'set', path, data: Buffer.from(text), version: -1 },
    ]);
    expect(done).toMatchObject({ ok: true });
  };
  await set(JSON.stringify({ ...FROZEN, v: 2 }));
  await until(() => {
    expect(shown.store.damaged().get('freeze')).toContain('v');
  });
  expect(await shown.store.read('freeze')).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
  await set(JSON.stringify(FROZEN));
  await until(() => {
    expect(shown.store.damaged().size).toBe(0);
    expect(shown.last?.get('freeze')?.record).toEqual(FROZEN);
  });
});
