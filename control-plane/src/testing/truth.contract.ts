import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NOT_FROZEN, type FreezeStore } from '../model/freeze_ports.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type {
  AnyTruthStore,
  HistoryStore,
  IntentStore,
  Lifecycle,
  Office,
  RosterStore,
  Term,
} from '../model/ports.js';
import type { ReleaseStore } from '../model/release_ports.js';
import type { ApiConsumerStore } from '../model/api_consumer_ports.js';
import type { TokenStore } from '../model/token_ports.js';
import { must } from './must.js';
import { buildRelease } from './releases.js';
import { buildConsumer } from './memory_consumers.js';
import { buildToken } from './tokens.js';
import { until } from './until.js';

/** The stores of one controller. */
export interface OpenStores {
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly roster: RosterStore;
  readonly freezes: FreezeStore;
  readonly releases: ReleaseStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
}

/** One truth, empty at first, and what happens to it behind the stores' backs. */
export interface Truth extends Pick<Lifecycle, 'close'> {
  /** Another candidate each time. */
  office(): Office;
  /** The stores of another controller each time, not started. */
  open(): OpenStores;
  /** Writes nonsense into the record of that name. */
  damage(store: AnyTruthStore, name: string): Promise<void>;
  /** Everything that the stores have is gone. */
  wipe(): Promise<void>;
}

const EVENT = { at: '2026-05-01T12:00:00Z', event: 'isolated', by: 'ann', message: 'isolated (x)' };
const intent = (rev: number): IntentRecord => ({ ...NO_INTENT, rev });

/** What every store of the truth promises, and what its office does. */
export function truthContract(name: string, make: () => Promise<Truth>): void {
  describe(`${name} keeps the truth`, () => {
    let truth: Truth;
    let stores: OpenStores;
    let term: Term;
    let opened: Lifecycle[];
    const shown = new Map<string, ReadonlyMap<string, unknown>>();

    beforeEach(async () => {
      truth = await make();
      opened = [];
      shown.clear();
      stores = await start((noun, map) => shown.set(noun, map));
      term = await must(truth.office().take(0));
    });
    afterEach(async () => {
      for (const one of opened) await one.close();
      await truth.close();
    });

    async function start(
      listen: (noun: string, map: ReadonlyMap<string, unknown>) => void,
    ): Promise<OpenStores> {
      const made = truth.open();
      const heard = new Set<string>();
      for (const store of Object.values(made) as AnyTruthStore[]) {
        store.onChange((map) => {
          heard.add(store.noun);
          listen(store.noun, map);
        });
        await store.start();
        opened.push(store);
      }
      await until(() => expect(heard.size).toBe(7));
      return made;
    }

    test('each has its own noun, shows that it is empty, and has no problem', () => {
      const nouns = ['consumers', 'freezes', 'histories', 'intents', 'releases', 'roster', 'tokens'];
      expect([...shown.keys()].sort()).toEqual(nouns);
      for (const map of shown.values()) expect(map.size).toBe(0);
      for (const store of Object.values(stores) as AnyTruthStore[]) {
        expect(shown.has(store.noun)).toBe(true);
        expect([store.loss(), store.problem(), store.damaged().size]).toEqual([null, null, 0]);
      }
    });

    test('what is written is shown before the answer, read back, and shown to others', async () => {
      const others = new Map<string, ReadonlyMap<string, unknown>>();
      await start((noun, map) => others.set(noun, map));
      const [first] = await must(
        stores.intents.write(term, [{ service: 'shop', etag: null, record: intent(1) }]),
      );
      const stored = { service: 'shop', record: intent(1), etag: first };
      expect(shown.get('intents')?.get('shop')).toEqual(stored);
      expect(await must(stores.intents.read('shop'))).toEqual(stored);
      expect(await must(stores.intents.read('none'))).toBeNull();
      await until(() => expect(others.get('intents')?.get('shop')).toEqual(stored));
      const edit = { service: 'shop', etag: first ?? '', record: intent(2) };
      const [second] = await must(stores.intents.write(term, [edit]));
      expect(second).not.toBe(first);
      expect(shown.get('intents')?.get('shop')).toMatchObject({ etag: second });
    });

    test('all edits are made or none: a record that is there, missing or another one is a conflict that names it', async () => {
      const edit = (service: string, etag: string | null) => ({ service, etag, record: intent(9) });
      const [etag] = await must(stores.intents.write(term, [{ ...edit('a', null), record: intent(1) }]));
      const [old] = await must(
        stores.intents.write(term, [{ ...edit('a', etag ?? ''), record: intent(2) }]),
      ).then(() => [etag]);
      for (const bad of [edit('a', null), edit('a', old ?? ''), edit('b', 'ff-1')])
        expect(await stores.intents.write(term, [edit('c', null), bad])).toEqual({
          ok: false,
          error: { kind: 'conflict', name: bad.service },
        });
      expect([...(shown.get('intents')?.keys() ?? [])]).toEqual(['a']);
      expect(shown.get('intents')?.get('a')).toMatchObject({ record: { rev: 2 } });
    });

    test('only the present term writes; no edits are a check of the term', async () => {
      expect(await stores.roster.write(term, [])).toEqual({ ok: true, value: [] });
      const office = truth.office();
      const next = await must(office.take(term.epoch + 10));
      expect(next.epoch).toBe(term.epoch + 10);
      expect(await must(office.present())).toEqual({ ...next, ours: true });
      expect(await must(truth.office().present())).toMatchObject({ ours: false });
      expect(await must(office.isPresent(next))).toBe(true);
      expect(await must(office.isPresent(term))).toBe(false);
      const fenced = { ok: false, error: { kind: 'fenced' } };
      expect(await stores.roster.write(term, [])).toEqual(fenced);
      expect(await stores.intents.write(term, [{ service: 'a', etag: null, record: intent(1) }])).toEqual(
        fenced,
      );
      expect(await stores.freezes.write(term, [{ etag: null, record: NOT_FROZEN }])).toEqual(fenced);
      expect(await must(stores.intents.read('a'))).toBeNull();
      await must(stores.intents.write(next, [{ service: 'a', etag: null, record: intent(1) }]));
    });

    test('the roster replaces and removes whatever is there', async () => {
      const entry = (boot: string) => ({ id: 'g1', boot, host: '10.0.0.1', since: EVENT.at });
      for (const boot of ['b1', 'b2'])
        await must(stores.roster.write(term, [{ id: 'g1', entry: entry(boot) }]));
      expect(shown.get('roster')).toEqual(new Map([['g1', entry('b2')]]));
      for (const id of ['g1', 'g1', 'never']) await must(stores.roster.write(term, [{ id, entry: null }]));
      expect(shown.get('roster')?.size).toBe(0);
    });

    test('a history changes with its intent, or neither does', async () => {
      const edit = {
        service: 'shop',
        etag: null,
        record: intent(1),
        history: { etag: null, events: [EVENT] },
      };
      const [etag] = await must(stores.intents.write(term, [edit]));
      await until(() => expect(shown.get('histories')?.get('shop')).toMatchObject({ events: [EVENT] }));
      const again = { ...edit, etag: etag ?? '', record: intent(2) };
      expect(await stores.intents.write(term, [again])).toMatchObject({ error: { kind: 'conflict' } });
      expect((await must(stores.intents.read('shop')))?.record.rev).toBe(1);
      const now = await must(stores.histories.read('shop'));
      await must(stores.intents.write(term, [{ ...again, history: { etag: now?.etag ?? '', events: [] } }]));
      expect((await must(stores.histories.read('shop')))?.events).toEqual([]);
    });

    test('a record goes with its history, or neither does; it can be written anew', async () => {
      const { intents, histories } = stores;
      const history = { etag: null, events: [EVENT] };
      const [etag = null] = await must(
        intents.write(term, [{ service: 'shop', etag: null, record: intent(1), history }]),
      );
      const kept = await must(histories.read('shop'));
      const gone = { service: 'shop', record: null } as const;
      const both = { ...gone, history: { etag: kept?.etag ?? '', events: null } };
      expect(await intents.write(term, [{ ...both, etag: 'another' }])).toMatchObject({
        error: { kind: 'conflict' },
      });
      expect(await must(histories.read('shop'))).not.toBeNull();
      await must(intents.write(term, [{ ...both, etag }]));
      expect(await must(intents.read('shop'))).toBeNull();
      expect(await must(histories.read('shop'))).toBeNull();
      await must(intents.write(term, [{ service: 'shop', etag: null, record: intent(2) }]));
      expect((await must(intents.read('shop')))?.record.rev).toBe(2);
    });

    test('one release runs at a time; it ends in the history, and the next one begins', async () => {
      const { releases } = stores;
      const begin = { service: 'shop', etag: null, current: buildRelease({ id: 'rel-1' }), archive: null };
      const [etag] = await must(releases.write(term, [begin]));
      expect(await releases.write(term, [begin])).toMatchObject({ error: { kind: 'conflict' } });
      expect(await must(releases.read('shop'))).toMatchObject({ record: { id: 'rel-1' }, etag });
      const ended = buildRelease({ id: 'rel-1', n: 1, state: 'succeeded', ended_at: EVENT.at });
      const end = { service: 'shop', etag: etag ?? '', current: null, archive: ended };
      expect(await must(releases.write(term, [end]))).toEqual([null]);
      const after = { current: null, history: [{ id: 'rel-1' }], last_n: 1 };
      expect(shown.get('releases')?.get('shop')).toMatchObject(after);
      expect(await must(releases.read('shop'))).toBeNull();
      await must(releases.write(term, [{ ...begin, current: buildRelease({ id: 'rel-2', n: 2 }) }]));
    });

    test('the history of releases of a service goes as a whole, but not under one that runs', async () => {
      const { releases } = stores;
      const begin = { service: 'shop', etag: null, current: buildRelease({ id: 'rel-1' }), archive: null };
      const [etag = null] = await must(releases.write(term, [begin]));
      const forget = { service: 'shop', etag: null, current: null, archive: null, forget: true } as const;
      expect((await releases.write(term, [forget])).ok).toBe(false);
      expect(await must(releases.read('shop'))).toMatchObject({ record: { id: 'rel-1' } });
      const ended = buildRelease({ id: 'rel-1', n: 1, state: 'succeeded', ended_at: EVENT.at });
      await must(releases.write(term, [{ service: 'shop', etag, current: null, archive: ended }]));
      await must(releases.write(term, [forget]));
      expect(shown.get('releases')?.has('shop')).toBe(false);
      await must(releases.write(term, [begin]));
      expect(shown.get('releases')?.get('shop')).toMatchObject({ history: [], last_n: 0 });
    });

    test('a consumer is written as it was read; a damaged one stays as it was last good', async () => {
      const { apiConsumers } = stores;
      const key = { id: '0123456789ab', hash: 'a'.repeat(64), by: 'ann', reason: '', expires: null };
      const at = '2026-05-01T12:00:00Z';
      const record = buildConsumer({ name: 'acme', services: ['shop-*'], networks: ['10.0.0.0/8'] });
      const [etag] = await must(apiConsumers.write(term, [{ name: 'acme', etag: null, record }]));
      const conflict = { ok: false, error: { kind: 'conflict', name: 'acme' } };
      expect(await apiConsumers.write(term, [{ name: 'acme', etag: null, record }])).toEqual(conflict);
      const next = { ...record, keys: [{ ...key, at }] };
      const [second] = await must(
        apiConsumers.write(term, [{ name: 'acme', etag: etag ?? '', record: next }]),
      );
      expect(await must(apiConsumers.read('acme'))).toEqual({ record: next, etag: second });
      await truth.damage(apiConsumers, 'acme');
      await until(() => expect([...apiConsumers.damaged().keys()]).toEqual(['acme']));
      expect(shown.get('consumers')).toEqual(new Map([['acme', { record: next, etag: second }]]));
      expect(await apiConsumers.write(term, [{ name: 'acme', etag: second ?? '', record: null }])).toEqual(
        conflict,
      );
    });

    test('a token is written once, and removed as it was read; a damaged one is valid for nobody', async () => {
      const { tokens } = stores;
      const record = buildToken({ name: 'ci' });
      const [etag] = await must(tokens.write(term, [{ name: 'ci', etag: null, record }]));
      const conflict = { ok: false, error: { kind: 'conflict', name: 'ci' } };
      expect(await tokens.write(term, [{ name: 'ci', etag: null, record }])).toEqual(conflict);
      expect(shown.get('tokens')).toEqual(new Map([['ci', { record, etag }]]));
      expect(await must(tokens.read('ci'))).toEqual({ record, etag });
      await truth.damage(tokens, 'ci');
      await until(() => expect([...tokens.damaged().keys()]).toEqual(['ci']));
      expect(shown.get('tokens')?.size).toBe(0);
      expect(await tokens.write(term, [{ name: 'ci', etag: etag ?? '', record: null }])).toEqual(conflict);
      const other = buildToken({ name: 'wall' });
      const [written] = await must(tokens.write(term, [{ name: 'wall', etag: null, record: other }]));
      await must(tokens.write(term, [{ name: 'wall', etag: written ?? '', record: null }]));
      expect(await must(tokens.read('wall'))).toBeNull();
      expect(shown.get('tokens')?.size).toBe(0);
    });

    test('a damaged record is named; its last good one stays, and is not written over', async () => {
      const { intents, roster, histories } = stores;
      const entry = { id: 'g1', boot: 'b1', host: '10.0.0.1', since: EVENT.at };
      const history = { etag: null, events: [EVENT] };
      const [etag] = await must(
        intents.write(term, [{ service: 'shop', etag: null, record: intent(1), history }]),
      );
      await must(roster.write(term, [{ id: 'g1', entry }]));
      await until(() => expect(shown.get('histories')?.size).toBe(1));
      await truth.damage(intents, 'shop');
      await truth.damage(roster, 'g1');
      await truth.damage(histories, 'shop');
      for (const [store, id] of [
        [intents, 'shop'],
        [roster, 'g1'],
        [histories, 'shop'],
      ] as const)
        await until(() => expect([...store.damaged().keys()]).toEqual([id]));
      expect(shown.get('intents')?.get('shop')).toMatchObject({ record: { rev: 1 }, etag });
      expect(shown.get('roster')?.get('g1')).toEqual(entry);
      expect(await intents.read('shop')).toMatchObject({ error: { kind: 'unavailable' } });
      expect((await must(histories.read('shop')))?.events).toEqual([]);
      const over = { service: 'shop', etag: etag ?? '', record: intent(2) };
      expect(await intents.write(term, [over])).toMatchObject({ error: { kind: 'conflict' } });
      await must(roster.write(term, [{ id: 'g1', entry }]));
      expect(roster.damaged().size).toBe(0);
    });

    test('a loss changes nothing that is shown until a person accepts it', async () => {
      const { intents } = stores;
      await must(intents.write(term, [{ service: 'shop', etag: null, record: intent(1) }]));
      await truth.wipe();
      await until(() => expect(intents.loss()).not.toBeNull());
      expect(shown.get('intents')?.size).toBe(1);
      await until(async () => expect((await must(intents.peek())).size).toBe(0));
      intents.acceptDataLoss();
      await until(() => expect([shown.get('intents')?.size, intents.loss()]).toEqual([0, null]));
    });
  });
}
