import { expect, test } from 'vitest';
import type { AuditBounds, AuditPage, AuditRecord } from '../model/audit.js';
import type { Term } from '../model/ports.js';
import { buildEntry } from '../testing/builders.js';
import { must } from '../testing/must.js';
import { removeBelow } from '../testing/remove_below.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createAuditStore, type ZooKeeperAudit } from './audit.js';
import { createOffice } from './epoch.js';

const zk = useZooKeeper();
const BOUNDS: AuditBounds = { all: 10_000, page: 100, service: 200, undo: 1_000 };
/** What one controller sends at once. */
const AT_ONCE = 200;
const SERVICES = 20;

test('10,000 records are kept, in order and without a gap, over two controllers and a change of the leader among writes', async () => {
  const root = zk.path('retention');
  const side = async (owner: string) => {
    const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
    return {
      audit: createAuditStore(link, { root, bounds: BOUNDS }),
      office: createOffice(link, { root, owner }),
    };
  };
  const [first, second] = [await side('first'), await side('second')];
  /** The requests that were answered as done. */
  const done = new Set<string>();
  const change = async (audit: ZooKeeperAudit, term: Term, id: string): Promise<boolean> => {
    const services = [`s-${String(Number(id.slice(2)) % SERVICES)}`];
    const undo = { kind: 'freeze_all', before: null, after: id } as const;
    const written = await audit.append(
      term,
      buildEntry({ services, request_id: id, by: id.slice(0, 1), undo }),
    );
    if (written.ok) done.add(id);
    return written.ok;
  };
  const many = async (audit: ZooKeeperAudit, term: Term, from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += AT_ONCE) {
      const ids = Array.from(
        { length: AT_ONCE },
        (_, more) => `${audit === first.audit ? 'a' : 'b'}-${String(at + more)}`,
      );
      await Promise.all(ids.map((id) => change(audit, term, id)));
      await audit.tend(term);
    }
  };

  const term = await must(first.office.take(0));
  await many(first.audit, term, 0, 5_000);
  // The second takes over while the first goes on sending: from then on nothing of the first comes.
  const late = many(first.audit, term, 5_000, 7_000);
  await until(() => expect(done.size).toBeGreaterThan(5_200));
  const next = await must(second.office.take(term.epoch + 1));
  await many(second.audit, next, 7_000, 13_000);
  await late;
  expect(await change(first.audit, term, 'a-9999')).toBe(false);
  for (let round = 0; round < 200; round += 1) await second.audit.tend(next);

  const kept: AuditRecord[] = [];
  for (let part = await must(second.audit.following(0, 1_000)); part.length > 0;) {
    kept.push(...part);
    part = await must(second.audit.following(part.at(-1)?.n ?? 0, 1_000));
  }
  // One record for each that was answered as done, and none besides.
  const last = kept.at(-1)?.n ?? 0;
  expect(last).toBe(done.size);
  expect(kept.length).toBeGreaterThanOrEqual(BOUNDS.all);
  expect(kept.length).toBeLessThanOrEqual(BOUNDS.all + 2 * BOUNDS.page);
  expect(kept.map(({ n }) => n)).toEqual(Array.from(kept, (_, at) => last - kept.length + 1 + at));
  const ids = kept.map((one) => one.request_id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !done.has(id))).toEqual([]);
  // Whoever led first is never seen again after the second.
  expect(kept.map(({ by }) => by).join('')).toMatch(/^a*b+$/);

  // What ZooKeeper contains is bounded, the rings of services too.
  const writer = await zk.connection();
  const children = async (path: string): Promise<number> =>
    (await must(writer.getChildren(`${root}/audit/${path}`))).names.length;
  expect(await children('log')).toBeLessThanOrEqual(BOUNDS.all / BOUNDS.page + 2);
  expect(await children('undo')).toBeLessThanOrEqual(BOUNDS.undo / BOUNDS.page + 2);
  for (let at = 0; at < SERVICES; at += 1) {
    const ring = await children(`services/s-${String(at)}`);
    expect(ring).toBeGreaterThanOrEqual(BOUNDS.service);
    expect(ring).toBeLessThanOrEqual(BOUNDS.service * 1.1 + 1);
  }

  // A controller that starts knows all of it without reading it.
  const third = await side('third');
  const began = performance.now();
  await must(third.audit.append(await must(third.office.take(next.epoch + 1)), buildEntry({ by: 'c' })));
  expect(performance.now() - began).toBeLessThan(2_000);
  const page = await must(third.audit.page({ ...ALL, limit: 2 }));
  expect(page.items.map(({ n, by }) => [n, by])).toEqual([
    [last + 1, 'c'],
    [last, 'b'],
  ]);
  // Who is asked for and is nowhere: bounded readings, each of which says where to go on.
  const parts: (number | null)[] = [];
  for (let before: number | null = null; parts.length === 0 || before !== null; parts.push(before)) {
    const part: AuditPage = await must(third.audit.page({ ...ALL, actor: 'nobody', before }));
    expect(part.items).toEqual([]);
    before = part.next;
  }
  expect(parts.length).toBeGreaterThan(4);
  expect(parts.length).toBeLessThan(8);
}, 120_000);

const ALL = { service: null, actor: null, verb: null, since: null, before: null, limit: 50 };

test('a head that was damaged, or a folder that was emptied by hand, stops no change', async () => {
  const root = zk.path('damaged');
  const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
  const term = await must(createOffice(link, { root, owner: 'one' }).take(0));
  const audit = createAuditStore(link, { root });
  for (let n = 1; n <= 3; n += 1) await must(audit.append(term, buildEntry()));
  const writer = await zk.connection();
  await must(writer.setData(`${root}/audit/head`, Buffer.from('nonsense'), -1));
  await must(audit.append(term, buildEntry({ by: 'bob' })));
  expect((await must(audit.page(ALL))).items.map(({ n, by }) => [n, by])).toEqual([
    [4, 'bob'],
    [3, 'ann'],
    [2, 'ann'],
    [1, 'ann'],
  ]);
  // A record that cannot be read is left out, and said.
  await must(writer.setData(audit.log.pathOf(3), Buffer.from('{'), -1));
  expect((await must(audit.page(ALL))).items.map(({ n }) => n)).toEqual([4, 2, 1]);
  expect(zk.log.lines.map(({ message }) => message)).toContain('audit record is damaged');
  // Somebody removes the ring of a service, and the newest page.
  for (let n = 1; n <= 4; n += 1) {
    await must(writer.remove(audit.log.pathIn('shop', n), -1));
    await must(writer.remove(audit.log.pathOf(n), -1));
  }
  await must(writer.remove(`${root}/audit/services/shop`, -1));
  await must(writer.remove(`${root}/audit/log/${audit.log.pageOf(1)}`, -1));
  await must(audit.append(term, buildEntry({ by: 'eve' })));
  expect((await must(audit.page(ALL))).items.map(({ n, by }) => [n, by])).toEqual([[5, 'eve']]);
  expect((await must(audit.page({ ...ALL, service: 'shop' }))).items.map(({ n }) => n)).toEqual([5]);
});

test('after a loss of all data numbers go on, as long as the leader lives', async () => {
  const root = zk.path('lost');
  const link = await zk.connectedLink({ sessionTimeoutMs: 30_000, connectTimeoutMs: 10_000 });
  const office = createOffice(link, { root, owner: 'one' });
  const audit = createAuditStore(link, { root });
  const term = await must(office.take(0));
  for (let n = 1; n <= 3; n += 1) await must(audit.append(term, buildEntry()));
  const writer = await zk.connection();
  await removeBelow(writer, root);
  const next = await must(office.take(term.epoch + 1));
  await must(audit.append(next, buildEntry({ by: 'bob' })));
  expect((await must(audit.page(ALL))).items.map(({ n, by }) => [n, by])).toEqual([[4, 'bob']]);
  // What a copy has of before has its old number; a gap that is left, however long, ends no reading.
  await Promise.all(Array.from({ length: 246 }, () => audit.append(next, buildEntry())));
  expect(await must(audit.following(0, 1))).toMatchObject([{ n: 4 }]);
  await must(audit.restore(next, [{ n: 2, ...buildEntry() }]));
  for (let n = 10; n <= 240; n += 1) await must(writer.remove(audit.log.pathOf(n), -1));
  const since = Date.parse('2026-05-01T10:00:00Z');
  const { items } = await must(audit.page({ ...ALL, since }));
  expect(items.map(({ n }) => n)).toEqual([
    ...[250, 249, 248, 247, 246, 245, 244, 243, 242, 241],
    ...[9, 8, 7, 6, 5, 4, 2],
  ]);
});
