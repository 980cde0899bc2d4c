import { beforeEach, expect, test } from 'vitest';
import { NOT_FROZEN, type FreezeStore, type GlobalFreeze, type StoredFreeze } from '../model/freeze_ports.js';
import type { Term } from '../model/ports.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createOffice } from './epoch.js';
import { createFreezeStore } from './freezes.js';
import type { ZooKeeperLink } from './link.js';

const FROZEN: GlobalFreeze = {
  ...{ v: 1, rev: 1 },
  freeze: { by: 'ann', reason: 'payday', at: '2026-05-01T12:00:00.000Z' },
  events: [{ at: '2026-05-01T12:00:00.000Z', event: 'frozen', by: 'ann', message: 'payday' }],
};
const zk = useZooKeeper();
let link: ZooKeeperLink;
let root: string;

beforeEach(async () => {
  root = zk.path('ebbgate');
  link = await zk.connectedLink();
});

interface Shown {
  readonly store: FreezeStore;
  last: ReadonlyMap<string, StoredFreeze> | null;
}
async function opens(): Promise<Shown> {
  const shown: Shown = { store: zk.open(createFreezeStore(link, { root })), last: null };
  shown.store.onChange((now) => {
    shown.last = now;
  });
  await shown.store.start();
  await until(() => {
    expect(shown.last).not.toBeNull();
  });
  return shown;
}
const office = (): Promise<Term> => must(createOffice(link, { root, owner: 'one' }).take(0));

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
    expect(shown.store.damaged().get('freeze')).toContain('schema 2');
  });
  expect(await shown.store.read('freeze')).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
  await set(JSON.stringify(FROZEN));
  await until(() => {
    expect(shown.store.damaged().size).toBe(0);
    expect(shown.last?.get('freeze')?.record).toEqual(FROZEN);
  });
});
