import { beforeEach, expect, test } from 'vitest';
import type { Term } from '../model/ports.js';
import type { ReleaseRecord, ServiceReleases } from '../model/release.js';
import type { ReleaseStore } from '../model/release_ports.js';
import { must } from '../testing/must.js';
import { buildBatchInstance, buildInPlace, buildRelease } from '../testing/releases.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import type { ZooKeeperConnection } from './connection.js';
import { createOffice } from './epoch.js';
import { createReleaseStore, KEPT_HISTORY } from './releases.js';

const zk = useZooKeeper();
let writer: ZooKeeperConnection;
let root: string;

beforeEach(async () => {
  root = zk.path('ebbgate');
  writer = await zk.connection();
});

interface Opened {
  readonly store: ReleaseStore;
  readonly shown: (service: string) => ServiceReleases | undefined;
  readonly office: () => Promise<Term>;
}

async function open(): Promise<Opened> {
  const link = zk.link();
  const store = zk.open(createReleaseStore(link, { root }));
  let newest: ReadonlyMap<string, ServiceReleases> | null = null;
  store.onChange((releases) => (newest = releases));
  await link.start();
  await store.start();
  await until(() => {
    expect(newest).not.toBeNull();
  });
  return {
    store,
    shown: (service) => newest?.get(service),
    office: () => must(createOffice(link, { root, owner: 'one' }).take(0)),
  };
}

const CONFLICT = { ok: false, error: { kind: 'conflict', name: 'shop' } };
const ended = (n: number): ReleaseRecord =>
  buildRelease({ id: `rel-${String(n)}`, n, state: 'succeeded', ended_at: '2026-05-01T12:00:00.000Z' });

test('a release is created once, moves by compare-and-set, and ends in the history', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const first = buildRelease();
  const create = { service: 'shop', etag: null, current: first, archive: null };
  expect(await store.write(term, [create])).toMatchObject({ ok: true });
  expect(shown('shop')).toMatchObject({ current: { record: first }, history: [] });
  expect(await store.write(term, [create])).toEqual(CONFLICT);
  const etag = shown('shop')?.current?.etag ?? '';
  const moved = { ...first, rev: 2 };
  expect(await store.write(term, [{ ...create, etag, current: moved }])).toMatchObject({ ok: true });
  expect(await store.write(term, [{ ...create, etag, current: moved }])).toEqual(CONFLICT);
  expect(await store.write(term, [{ ...create, etag: 'ff-1', current: moved }])).toEqual(CONFLICT);
  const next = shown('shop')?.current?.etag ?? '';
  expect(
    await store.write(term, [{ service: 'shop', etag: next, current: null, archive: ended(1) }]),
  ).toMatchObject({ ok: true });
  expect(shown('shop')).toEqual({ current: null, history: [ended(1)], last_n: 1 });
  // A controller that starts reads the same, and may begin the next one.
  const other = await open();
  await until(() => {
    expect(other.shown('shop')).toEqual({ current: null, history: [ended(1)], last_n: 1 });
  });
  const second = buildRelease({ id: 'rel-2', n: 2 });
  const again = await other.store.write(await other.office(), [{ ...create, current: second }]);
  expect(again).toMatchObject({ ok: true });
  await until(() => {
    expect(shown('shop')?.current?.record).toEqual(second);
  });
  expect(await store.write(term, [{ ...create, current: first }])).toEqual({
    ok: false,
    error: { kind: 'fenced' },
  });
});

test('two that start at once: one release; superseding is one transaction', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const starts = ['a', 'b'].map((id) =>
    store.write(term, [{ service: 'shop', etag: null, current: buildRelease({ id }), archive: null }]),
  );
  const answers = await Promise.all(starts);
  expect(answers.filter((one) => one.ok)).toHaveLength(1);
  const etag = shown('shop')?.current?.etag ?? '';
  const next = buildRelease({ id: 'c', n: 2 });
  expect(
    await store.write(term, [{ service: 'shop', etag, current: next, archive: ended(1) }]),
  ).toMatchObject({ ok: true });
  expect(shown('shop')).toMatchObject({ current: { record: { id: 'c' } }, history: [{ id: 'rel-1' }] });
});

test('the history keeps the newest', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  for (let n = 1; n <= KEPT_HISTORY + 2; n += 1) {
    const current = buildRelease({ n });
    await store.write(term, [{ service: 'shop', etag: null, current, archive: null }]);
    const etag = shown('shop')?.current?.etag ?? '';
    const archived = await store.write(term, [{ service: 'shop', etag, current: null, archive: ended(n) }]);
    expect(archived).toMatchObject({ ok: true });
  }
  expect(shown('shop')?.history.map((one) => one.n)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const names = await writer.getChildren(`${root}/releases/shop/history`);
  expect(names.ok && names.value.names).toHaveLength(KEPT_HISTORY);
});

test('a schema that is not known keeps the last good record, and says so', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const current = buildRelease({ shares: { v1: 60, v2: 40 } });
  await store.write(term, [{ service: 'shop', etag: null, current, archive: null }]);
  const path = `${root}/releases/shop/current`;
  await writer.transaction([{ kind: 'set', path, data: Buffer.from('{"v":2}'), version: -1 }]);
  await until(() => {
    expect(store.damaged().get('shop')).toMatch(/schema 2/);
  });
  expect(shown('shop')?.current?.record.shares).toEqual({ v1: 60, v2: 40 });
  const blind = await open();
  await until(() => {
    expect(blind.store.damaged().get('shop')).toMatch(/schema 2/);
  });
  expect(blind.shown('shop')?.current ?? null).toBeNull();
});

test('a place in the history that has something unreadable is taken all the same', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const first = { service: 'shop', etag: null, current: buildRelease(), archive: null };
  expect(await store.write(term, [first])).toMatchObject({ ok: true });
  const path = `${root}/releases/shop/history/7`;
  await writer.transaction([{ kind: 'create', path, data: Buffer.from('?') }]);
  await until(() => {
    expect(shown('shop')).toMatchObject({ history: [], last_n: 7 });
  });
});

test('what could not be read back, or is more than a znode has, is not written, and the release goes on', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const first = buildRelease();
  await store.write(term, [{ service: 'shop', etag: null, current: first, archive: null }]);
  const etag = shown('shop')?.current?.etag ?? '';
  const refused = async (current: ReleaseRecord): Promise<string> => {
    const answer = await store.write(term, [{ service: 'shop', etag, current, archive: null }]);
    return answer.ok || answer.error.kind !== 'unavailable' ? JSON.stringify(answer) : answer.error.reason;
  };
  expect(await refused({ ...first, message: 'x'.repeat(5_000) })).toMatch(/read back.*message/);
  const instance = buildBatchInstance(`shop-${'i'.repeat(150)}`);
  const batch = Array<typeof instance>(4_000).fill(instance);
  const huge = buildInPlace({
    progress: { batch },
  });
  expect(await refused(huge)).toMatch(/ZooKeeper takes 1000000: use smaller batches/);
  expect(shown('shop')?.current).toMatchObject({ record: first, etag });
  const moved = { ...first, rev: 2 };
  expect(await store.write(term, [{ service: 'shop', etag, current: moved, archive: null }])).toMatchObject({
    ok: true,
  });
});

test('whoever follows sees a release that ends in one of its two places at every moment', async () => {
  const { store, shown, office } = await open();
  const term = await office();
  const link = zk.link();
  const follower = zk.open(createReleaseStore(link, { root }));
  let running = '';
  const lost: string[] = [];
  let states = 0;
  follower.onChange((releases) => {
    const { current = null, history = [] } = releases.get('shop') ?? {};
    states += 1;
    const seen = [...history, ...(current ? [current.record] : [])].map(({ id }) => id);
    const newest = Math.max(0, ...seen.map((id) => Number(id.slice(4))));
    // What it has seen once is there, or has gone with the oldest.
    if (running !== '' && newest < Number(running.slice(4))) lost.push(`${running}: ${seen.join()}`);
    running = `rel-${String(newest)}`;
  });
  await link.start();
  await follower.start();
  for (let n = 1; n <= 25; n += 1) {
    const record = buildRelease({ id: `rel-${String(n)}`, n });
    let etag: string | null = null;
    const move = async (rev: number): Promise<void> => {
      await must(store.write(term, [{ service: 'shop', etag, current: { ...record, rev }, archive: null }]));
      etag = shown('shop')?.current?.etag ?? '';
    };
    await move(1);
    await until(() => {
      expect(running).toBe(record.id);
    });
    // After a quiet time the next change is read at once: it ends while that is under way.
    await new Promise((resolve) => setTimeout(resolve, 120));
    await move(2);
    await must(store.write(term, [{ service: 'shop', etag, current: null, archive: ended(n) }]));
  }
  await until(() => {
    expect(running).toBe('rel-25');
  });
  expect(lost).toEqual([]);
  expect(states).toBeGreaterThanOrEqual(25);
});
