import { beforeEach, describe, expect, test } from 'vitest';
import type { RosterEntry } from '../model/gateway.js';
import { NO_INTENT, type IntentRecord, type StoredIntent } from '../model/intent.js';
import type { IntentStore, Term } from '../model/ports.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import { createOffice } from './epoch.js';
import { createHistoryStore } from './histories.js';
import { createIntentStore } from './intents.js';
import type { ZooKeeperLink } from './link.js';
import { createRosterStore } from './roster.js';

const zk = useZooKeeper();
let link: ZooKeeperLink;
let writer: ZooKeeperConnection;
let root: string;

beforeEach(async () => {
  root = zk.path('ebbgate');
  writer = await zk.connection();
  link = await connectedLink();
});

const connectedLink = (): Promise<ZooKeeperLink> => zk.connectedLink({ connectTimeoutMs: 1_000 });

async function takeLeadership(floor = 0): Promise<Term> {
  return must(createOffice(link, { root, owner: 'one' }).take(floor));
}

const intent = (rev: number, over: Partial<IntentRecord> = {}): IntentRecord => ({
  ...NO_INTENT,
  rev,
  ...over,
});

describe('the histories', () => {
  test('are written with a record in one transaction, read back, and begun again where they are damaged', async () => {
    const term = await takeLeadership();
    const intents = zk.open(createIntentStore(link, { root }));
    const histories = zk.open(createHistoryStore(link, { root }));
    const events = [{ at: '2026-05-01T12:00:00Z', event: 'isolated', by: 'job/42', message: 'isolated (x)' }];
    await intents.start();
    await histories.start();
    for (const folder of ['intents', 'history'])
      await until(async () => expect((await writer.getData(`${root}/${folder}`)).ok).toBe(true));
    expect(await histories.read('shop')).toEqual({ ok: true, value: null });
    const edit = { service: 'shop', etag: null, record: intent(1), history: { etag: null, events } };
    const [first] = await must(intents.write(term, [edit]));
    const stored = await must(histories.read('shop'));
    expect(stored?.events).toEqual(events);
    const again = { ...edit, etag: first!, record: intent(2) };
    expect(await intents.write(term, [again])).toMatchObject({ ok: false, error: { kind: 'conflict' } });
    const more = [...events, ...events];
    const next = { ...again, history: { etag: stored!.etag, events: more } };
    const [second] = await must(intents.write(term, [next]));
    let shown: readonly unknown[] | undefined;
    histories.onChange((newest) => (shown = newest.get('shop')?.events));
    // A newer release says more: it is read, and goes back.
    const tomorrow = { v: 1, place: 'here', events: [{ ...events[0]!, token: 'ci' }] };
    await must(writer.setData(`${root}/history/shop`, Buffer.from(JSON.stringify(tomorrow)), -1));
    await until(async () => expect((await must(histories.read('shop')))?.events).toEqual(tomorrow.events));
    await must(writer.setData(`${root}/history/shop`, Buffer.from('{'), -1));
    await until(async () => expect((await must(histories.read('shop')))?.events).toEqual([]));
    const damaged = await must(histories.read('shop'));
    const third = { ...next, etag: second!, record: intent(3), history: { etag: damaged!.etag, events } };
    await must(intents.write(term, [third]));
    await until(() => expect(shown).toEqual(events));
  });
});

describe('the office', () => {
  test('goes above its own last epoch and above the floor, and its version fences', async () => {
    expect(await takeLeadership(0)).toEqual({ epoch: 1, version: 1 });
    expect(await takeLeadership(0)).toEqual({ epoch: 2, version: 2 });
    expect(await takeLeadership(1_795_000_000)).toEqual({ epoch: 1_795_000_000, version: 3 });
    expect(await takeLeadership(5)).toEqual({ epoch: 1_795_000_001, version: 4 });
    const node = await must(writer.getData(`${root}/epoch`));
    expect(node.data.toString()).toBe('1795000001 one');
  });

  test('shows whose the present term is, of this process or of another', async () => {
    const office = createOffice(link, { root, owner: 'one' });
    expect(await office.present()).toEqual({ ok: true, value: null });
    const taken = await must(office.take(10));
    expect(await must(office.present())).toEqual({ ...taken, ours: true });
    expect(await must(office.isPresent(taken))).toBe(true);
    const other = createOffice(await connectedLink(), { root, owner: 'two' });
    expect(await must(other.present())).toEqual({ ...taken, ours: false });
    const next = await must(other.take(0));
    expect(await must(office.present())).toEqual({ ...next, ours: false });
    expect(await must(office.isPresent(taken))).toBe(false);
    // One of before owners were written is nobody's.
    await must(writer.setData(`${root}/epoch`, Buffer.from('77'), -1));
    expect(await must(office.present())).toEqual({ epoch: 77, version: next.version + 1, ours: false });
  });

  test('two that take it at once get different terms', async () => {
    const office = createOffice(link, { root, owner: 'one' });
    const takes = await Promise.all([office.take(10), office.take(10)]);
    const epochs = takes.flatMap((take) => (take.ok ? [take.value.epoch] : []));
    expect(new Set(epochs).size).toBe(epochs.length);
    expect(epochs.length).toBeGreaterThan(0);
    for (const take of takes) if (!take.ok) expect(take.error).toEqual({ kind: 'conflict' });
  });

  test('a damaged epoch is passed over by the floor, a lost connection is unavailable', async () => {
    await must(createPath(writer, root));
    await must(writer.create(`${root}/epoch`, Buffer.from('not a number')));
    expect(await takeLeadership(77)).toMatchObject({ epoch: 77 });
    await link.close();
    expect(await createOffice(link, { root, owner: 'one' }).take(0)).toMatchObject({
      error: { kind: 'unavailable' },
    });
  });
});

describe('intents', () => {
  let pushed: ReadonlyMap<string, StoredIntent>[];

  async function openStore(over = link): Promise<IntentStore> {
    const store = zk.open(createIntentStore(over, { root }));
    store.onChange((intents) => pushed.push(intents));
    await store.start();
    await until(() => {
      expect(pushed.length).toBeGreaterThan(0);
    });
    return store;
  }
  const shown = (service: string): StoredIntent | undefined => pushed.at(-1)?.get(service);

  beforeEach(() => {
    pushed = [];
  });

  test('what is written is shown before the answer, and read back', async () => {
    const store = await openStore();
    expect(pushed).toEqual([new Map()]);
    const term = await takeLeadership();
    const [created] = await must(store.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
    expect(created).toMatch(/^[0-9a-f]+-1$/);
    expect(shown('shop')).toEqual({ service: 'shop', record: intent(1), etag: created });
    expect(await must(store.read('shop'))).toEqual(shown('shop'));
    const [changed] = await must(store.write(term, [{ service: 'shop', etag: created!, record: intent(2) }]));
    expect(shown('shop')?.etag).toBe(changed);
    expect(changed!).not.toBe(created!);
    expect(await must(store.read('none'))).toBeNull();
  });

  test('several services change together or not at all', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    const services = ['a', 'b', 'c'];
    const written = await must(
      store.write(
        term,
        services.map((service) => ({ service, etag: null, record: intent(1) })),
      ),
    );
    expect(written).toEqual(services.map((service) => shown(service)?.etag));
    const edits = services.map((service, index) => ({ service, etag: written[index]!, record: intent(2) }));
    const stale = edits.map((edit) =>
      edit.service === 'b' ? { ...edit, etag: edit.etag.replace(/\d+$/, '0') } : edit,
    );
    expect(await store.write(term, stale)).toEqual({ ok: false, error: { kind: 'conflict', name: 'b' } });
    expect(shown('a')?.record.rev).toBe(1);
    await must(store.write(term, edits));
    for (const service of services) expect((await must(store.read(service)))?.record.rev).toBe(2);
  });

  test.each([
    ['created twice', null],
    ['of an older version', 'old'],
    ['of another node', 'ff-1'],
    ['unreadable', 'W/"x"'],
  ])('an etag %s is a conflict', async (_, etag) => {
    const store = await openStore();
    const term = await takeLeadership();
    const [first] = await must(store.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
    await must(store.write(term, [{ service: 'shop', etag: first!, record: intent(2) }]));
    const used = etag === 'old' ? first! : etag;
    expect(await store.write(term, [{ service: 'shop', etag: used, record: intent(9) }])).toEqual({
      ok: false,
      error: { kind: 'conflict', name: 'shop' },
    });
    expect((await must(store.read('shop')))?.record.rev).toBe(2);
  });

  test('version 0 of a record is checked too', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    await must(writer.create(`${root}/intents/shop`, Buffer.from(JSON.stringify(intent(1)))));
    await until(() => {
      expect(shown('shop')?.etag).toMatch(/-0$/);
    });
    const etag = shown('shop')!.etag;
    await must(writer.setData(`${root}/intents/shop`, Buffer.from(JSON.stringify(intent(2))), 0));
    expect(await store.write(term, [{ service: 'shop', etag, record: intent(9) }])).toEqual({
      ok: false,
      error: { kind: 'conflict', name: 'shop' },
    });
  });

  test('after another has become the leader nothing more is written', async () => {
    const store = await openStore();
    const old = await takeLeadership();
    const [first] = await must(store.write(old, [{ service: 'shop', etag: null, record: intent(1) }]));
    const other = await connectedLink();
    const term = await must(createOffice(other, { root, owner: 'two' }).take(0));
    const edit = { service: 'shop', etag: first!, record: intent(2) };
    expect(await store.write(old, [edit])).toEqual({ ok: false, error: { kind: 'fenced' } });
    // The fence speaks first, even where the record has changed as well.
    expect(await store.write(old, [{ ...edit, etag: null }])).toEqual({
      ok: false,
      error: { kind: 'fenced' },
    });
    await must(store.write(term, [edit]));
  });

  test('the first term of office, at version 0, fences as well', async () => {
    const store = await openStore();
    await must(createPath(writer, `${root}/epoch`));
    await must(writer.setData(`${root}/epoch`, Buffer.from('5'), 0));
    const answer = await store.write({ epoch: 4, version: 0 }, [
      { service: 'a', etag: null, record: intent(1) },
    ]);
    expect(answer).toEqual({ ok: false, error: { kind: 'fenced' } });
  });

  test('what others write is shown', async () => {
    await openStore();
    const path = `${root}/intents/shop`;
    await must(writer.create(path, Buffer.from(JSON.stringify(intent(1)))));
    await until(() => {
      expect(shown('shop')?.record.rev).toBe(1);
    });
    await must(writer.setData(path, Buffer.from(JSON.stringify(intent(2))), -1));
    await until(() => {
      expect(shown('shop')?.record.rev).toBe(2);
    });
    await must(writer.remove(path, -1));
    await until(() => {
      expect(shown('shop')).toBeUndefined();
    });
  });

  test('under a stream of writes nobody is ever shown an older record after a newer one', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    let etag: string | null = null;
    for (let rev = 1; rev <= 300; rev++) {
      const written: readonly (string | null)[] = await must(
        store.write(term, [{ service: 'shop', etag, record: intent(rev) }]),
      );
      etag = written[0]!;
      expect(shown('shop')?.record.rev).toBe(rev);
    }
    const revs = pushed.map((intents) => intents.get('shop')?.record.rev ?? 0);
    expect(revs).toEqual(revs.toSorted((a, b) => a - b));
  });

  test('a damaged record keeps its last good one, is reported, and is not written over', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    const [good] = await must(store.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
    const path = `${root}/intents/shop`;
    await must(writer.setData(path, Buffer.from('{"v":2}'), -1));
    await must(writer.create(`${root}/intents/new`, Buffer.from('garbage')));
    await until(() => {
      expect([...store.damaged().keys()].sort()).toEqual(['new', 'shop']);
    });
    expect(shown('shop')?.etag).toBe(good);
    expect(shown('new')).toBeUndefined();
    expect(store.damaged().get('new')).toMatch(/JSON/);
    expect(store.pathOf('new')).toBe(`${root}/intents/new`);
    expect(await store.read('shop')).toMatchObject({
      error: { kind: 'unavailable', reason: expect.stringContaining('damaged') as string },
    });
    expect(await store.write(term, [{ service: 'shop', etag: good!, record: intent(2) }])).toMatchObject({
      error: { kind: 'conflict' },
    });
    await must(writer.setData(path, Buffer.from(JSON.stringify(intent(3))), -1));
    await until(() => {
      expect(shown('shop')?.record.rev).toBe(3);
    });
    expect([...store.damaged().keys()]).toEqual(['new']);
  });

  test('a frozen server is unavailable, and takes nothing back', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    const [first] = await must(store.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
    const before = pushed.length;
    await zk.freeze();
    const edit = { service: 'shop', etag: first!, record: intent(2) };
    expect(await store.write(term, [edit])).toMatchObject({ error: { kind: 'unavailable' } });
    expect(await store.read('shop')).toMatchObject({ error: { kind: 'unavailable' } });
    zk.server.kill('SIGCONT');
    await until(() => {
      expect(link.state().state).toBe('connected');
    });
    // The write that got no answer may have been applied: whoever reads finds out.
    const now = await must(store.read('shop'));
    expect([1, 2]).toContain(now?.record.rev);
    await until(() => {
      expect(shown('shop')?.record.rev).toBe(now?.record.rev);
    });
    expect(pushed.length).toBeLessThanOrEqual(before + 1);
  });

  test('a record too large to be written is refused, and the link lives', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    const message = 'x'.repeat(4_000);
    const event = { at: '2026-11-21T00:00:00Z', event: 'noted', by: 'ann', message };
    const record = intent(1, { events: Array.from({ length: 300 }, () => event) });
    expect(await store.write(term, [{ service: 'shop', etag: null, record }])).toMatchObject({
      error: { kind: 'unavailable', reason: expect.stringContaining('bytes') as string },
    });
    expect(link.state().state).toBe('connected');
  });

  test('lost intents are not "no intents"', async () => {
    const store = await openStore();
    const term = await takeLeadership();
    await must(store.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
    const path = `${root}/intents`;
    await must(
      writer.transaction([
        { kind: 'remove', path: `${path}/shop`, version: -1 },
        { kind: 'remove', path, version: -1 },
      ]),
    );
    await until(() => {
      expect(zk.log.lines.some(({ message }) => message === 'data loss')).toBe(true);
    });
    expect(shown('shop')?.record.rev).toBe(1);
    expect(await store.write(term, [{ service: 'new', etag: null, record: intent(1) }])).toMatchObject({
      error: { kind: 'unavailable' },
    });
    store.acceptDataLoss();
    await until(() => {
      expect(pushed.at(-1)?.size).toBe(0);
    });
  });
});

describe('the roster', () => {
  const entry = (id: string, boot: string): RosterEntry => ({
    id,
    boot,
    host: 'h',
    since: '2026-11-21T00:00:00Z',
  });

  test('entries are put, replaced and removed under the fence', async () => {
    const rosters: ReadonlyMap<string, RosterEntry>[] = [];
    const store = zk.open(createRosterStore(link, { root }));
    store.onChange((roster) => rosters.push(roster));
    await store.start();
    await until(() => {
      expect(rosters).toHaveLength(1);
    });
    const term = await takeLeadership();
    const put = (one: RosterEntry) => store.write(term, [{ id: one.id, entry: one }]);
    const remove = (id: string) => store.write(term, [{ id, entry: null }]);
    await must(put(entry('g1', 'b1')));
    expect(rosters.at(-1)).toEqual(new Map([['g1', entry('g1', 'b1')]]));
    await must(put(entry('g1', 'b2')));
    await must(put(entry('g2', 'b1')));
    expect(rosters.at(-1)?.get('g1')?.boot).toBe('b2');
    const gone = { ...entry('g1', 'b2'), gone: { at: '2026-11-21T00:00:00.000Z', how: 'left' as const } };
    expect(await put(gone)).toMatchObject({ ok: true });
    expect(rosters.at(-1)?.get('g1')).toEqual(gone);
    await put(entry('g1', 'b2'));
    expect(rosters.at(-1)?.get('g1')?.gone).toBeUndefined();
    // Another controller's view of it, and a removal behind this one's back.
    await must(writer.remove(`${root}/gateways/g2`, -1));
    await must(put(entry('g2', 'b3')));
    await until(() => {
      expect(rosters.at(-1)?.get('g2')?.boot).toBe('b3');
    });
    await must(remove('g2'));
    await must(remove('g2'));
    await must(remove('never-there'));
    expect([...(rosters.at(-1)?.keys() ?? [])]).toEqual(['g1']);
    await takeLeadership();
    for (const answer of [put(entry('g3', 'b')), remove('g1'), remove('none')])
      expect(await answer).toEqual({ ok: false, error: { kind: 'fenced' } });
  });

  test('what a newer release says in an entry is kept when the entry is written again', async () => {
    const store = zk.open(createRosterStore(link, { root }));
    let roster: ReadonlyMap<string, RosterEntry> = new Map();
    store.onChange((newest) => (roster = newest));
    await store.start();
    const term = await takeLeadership();
    await must(createPath(writer, `${root}/gateways`));
    const tomorrow = {
      boot: 'b',
      host: 'h',
      since: '2026-11-21T00:00:00Z',
      contracts: [1, 2, 7],
      rack: 'r1',
    };
    await must(writer.create(`${root}/gateways/g1`, Buffer.from(JSON.stringify(tomorrow))));
    await until(() => {
      expect(roster.get('g1')).toMatchObject({ rack: 'r1', contracts: [1, 2, 7] });
    });
    const read = roster.get('g1')!;
    const gone = { at: '2026-11-21T00:00:00.000Z', how: 'left' as const };
    await must(store.write(term, [{ id: 'g1', entry: { ...read, gone } }]));
    const node = await must(writer.getData(`${root}/gateways/g1`));
    expect(JSON.parse(node.data.toString())).toEqual({ id: 'g1', ...tomorrow, gone });
  });

  test('an entry that cannot be read still counts', async () => {
    await must(createPath(writer, `${root}/gateways`));
    await must(writer.create(`${root}/gateways/g9`, Buffer.from('garbage')));
    const rosters: ReadonlyMap<string, RosterEntry>[] = [];
    const store = zk.open(createRosterStore(link, { root }));
    store.onChange((roster) => rosters.push(roster));
    await store.start();
    await until(() => {
      expect(rosters.at(-1)?.get('g9')).toMatchObject({ id: 'g9', boot: '' });
    });
  });
});
