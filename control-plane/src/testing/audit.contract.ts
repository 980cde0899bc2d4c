import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditBounds, AuditEntry, AuditQuery, AuditRecord } from '../model/audit.js';
import type { AuditStore } from '../model/audit_ports.js';
import { NO_INTENT } from '../model/intent.js';
import type { IntentStore, Lifecycle, Office, RosterStore, Term } from '../model/ports.js';
import { buildEntry } from './builders.js';
import { must } from './must.js';

/** What one controller writes and reads with; started. */
export interface AuditSide {
  readonly audit: AuditStore;
  readonly intents: IntentStore;
  readonly roster: RosterStore;
}

/** One truth, empty at first. */
export interface AuditedTruth extends Pick<Lifecycle, 'close'> {
  /** Another candidate each time. */
  office(): Office;
  /** What another controller writes and reads with. */
  open(bounds?: AuditBounds): Promise<AuditSide>;
}

const ANY: AuditQuery = { service: null, actor: null, verb: null, since: null, before: null, limit: 50 };

/** What every store of records promises. */
export function auditContract(name: string, make: () => Promise<AuditedTruth>): void {
  describe(`${name} records changes`, () => {
    let truth: AuditedTruth;
    let side: AuditSide;
    let term: Term;

    beforeEach(async () => {
      truth = await make();
      side = await truth.open();
      term = await must(truth.office().take(0));
    });
    afterEach(() => truth.close());

    const numbersOf = (records: readonly AuditRecord[]): readonly number[] => records.map(({ n }) => n);
    const asked = async (query: Partial<AuditQuery> = {}, of = side): Promise<readonly AuditRecord[]> =>
      (await must(of.audit.page({ ...ANY, ...query }))).items;
    const intent = (service: string, etag: string | null = null, rev = 1) => {
      return { service, etag, record: { ...NO_INTENT, rev } };
    };
    async function append(...entries: readonly Partial<AuditEntry>[]): Promise<void> {
      for (const entry of entries) await must(side.audit.append(term, buildEntry(entry)));
    }

    test('there are none at first', async () => {
      expect(await must(side.audit.page(ANY))).toEqual({ items: [], next: null });
      expect(await asked({ service: 'shop' })).toEqual([]);
      expect(await must(side.audit.record(1))).toBeNull();
      expect(await must(side.audit.following(0, 10))).toEqual([]);
    });

    test('a record is written with its change, or neither is', async () => {
      const entry = buildEntry({ services: ['shop'], reason: 'disk' });
      const [etag] = await must(side.intents.write(term, [intent('shop')], entry));
      expect(await asked()).toEqual([{ n: 1, ...entry }]);
      expect(await must(side.audit.record(1))).toEqual({ n: 1, ...entry });
      expect(await side.intents.write(term, [intent('shop')], entry)).toMatchObject({
        error: { kind: 'conflict', name: 'shop' },
      });
      expect(await asked()).toHaveLength(1);
      await must(side.intents.write(term, [intent('shop', etag ?? '', 2)], entry));
      expect(numbersOf(await asked())).toEqual([2, 1]);
    });

    test('what is written without an entry leaves no record; an entry needs no edits', async () => {
      await must(side.intents.write(term, [intent('shop')]));
      expect(await asked()).toEqual([]);
      await must(side.roster.write(term, [], buildEntry({ verb: 'forget_gateway', services: [] })));
      expect(await asked()).toMatchObject([{ n: 1, verb: 'forget_gateway' }]);
    });

    test('the next leader goes on with the numbers; of the one before nothing comes any more', async () => {
      await append({}, {});
      const other = await truth.open();
      const next = await must(truth.office().take(term.epoch + 1));
      expect(await side.audit.append(term, buildEntry())).toEqual({ ok: false, error: { kind: 'fenced' } });
      await must(other.audit.append(next, buildEntry({ by: 'bob' })));
      expect(await side.intents.write(term, [intent('shop')], buildEntry())).toMatchObject({ ok: false });
      expect((await asked()).map(({ n, by }) => [n, by])).toEqual([
        [3, 'bob'],
        [2, 'ann'],
        [1, 'ann'],
      ]);
      // The first one leads again: it knows nothing of what was written meanwhile.
      const again = await must(truth.office().take(next.epoch + 1));
      await must(side.audit.append(again, buildEntry({ by: 'eve' })));
      expect(numbersOf(await asked())).toEqual([4, 3, 2, 1]);
    });

    test('changes side by side, refused ones among them: no number twice, and none is left out', async () => {
      const writes = Array.from({ length: 40 }, (_, at) => {
        // Each fourth creates what the one before it has created.
        const services = [`s-${String(at % 4 === 3 ? at - 1 : at)}`];
        const edits = services.map((service) => intent(service));
        return side.intents.write(term, edits, buildEntry({ services, request_id: `r-${String(at)}` }));
      });
      const answers = await Promise.all(writes);
      const done = answers.flatMap((answer, at) => (answer.ok ? [`r-${String(at)}`] : []));
      expect(done).toHaveLength(30);
      const records = await asked();
      expect(numbersOf(records)).toEqual(Array.from({ length: 30 }, (_, at) => 30 - at));
      expect(records.map((one) => one.request_id).toSorted()).toEqual(done.toSorted());
    });

    test('each service has a ring of its own, with its own lines', async () => {
      const change = (service: string) => ({
        service,
        instance: 'a',
        field: 'state',
        from: 'up',
        to: 'down',
      });
      await append(
        { services: ['shop', 'cart'], changes: [change('shop'), change('cart')] },
        { services: ['cart'], by: 'bob' },
      );
      expect(await asked({ service: 'shop' })).toMatchObject([
        { n: 1, services: ['shop'], changes: [change('shop')] },
      ]);
      expect(numbersOf(await asked({ service: 'cart' }))).toEqual([2, 1]);
      expect(numbersOf(await asked({ service: 'cart', actor: 'bob' }))).toEqual([2]);
      expect(await asked({ service: 'none' })).toEqual([]);
    });

    test('a change of many services is in the ring of each, as long as the ring of all has it', async () => {
      const services = Array.from({ length: 500 }, (_, at) => `s-${String(at)}`);
      const changes = services.map((service) => {
        return { service, instance: 'a', field: 'state', from: 'up', to: 'draining' };
      });
      const other = await truth.open({ all: 20, page: 10, service: 5, undo: 10 });
      const edits = services.map((service) => intent(service));
      await must(
        other.intents.write(term, edits, buildEntry({ services, changes, object: 'host=10.0.0.1' })),
      );
      expect(await asked({ service: 's-3' }, other)).toMatchObject([
        { n: 1, services: ['s-3'], changes: [changes[3]], object: 'host=10.0.0.1' },
      ]);
      expect(await asked({ service: 's-499' }, other)).toMatchObject([{ n: 1, services: ['s-499'] }]);
      expect((await asked({}, other))[0]?.services).toEqual(services);
      for (let at = 0; at < 40; at += 1)
        await must(other.audit.append(term, buildEntry({ services: ['s-3'] })));
      for (let round = 0; round < 5; round += 1) await other.audit.tend(term);
      expect(await asked({ service: 's-499' }, other)).toEqual([]);
      expect(numbersOf(await asked({ service: 's-3' }, other))).toEqual([41, 40, 39, 38, 37]);
    });

    test('what is asked for: by whom, what, since when; a page goes on where the one before ended', async () => {
      await append(
        ...[1, 2, 3, 4, 5, 6].map((hour) => ({
          ...{ at: `2026-05-01T0${String(hour)}:00:00.000Z`, by: hour % 2 ? 'ann' : 'bob' },
          verb: hour < 5 ? 'drain' : 'undrain',
        })),
      );
      expect(numbersOf(await asked({ actor: 'ann' }))).toEqual([5, 3, 1]);
      expect(numbersOf(await asked({ verb: 'drain', actor: 'bob' }))).toEqual([4, 2]);
      expect(numbersOf(await asked({ since: Date.parse('2026-05-01T05:00:00Z') }))).toEqual([6, 5]);
      const first = await must(side.audit.page({ ...ANY, limit: 4 }));
      expect([numbersOf(first.items), first.next]).toEqual([[6, 5, 4, 3], 3]);
      await append({});
      const second = await must(side.audit.page({ ...ANY, limit: 4, before: first.next }));
      expect([numbersOf(second.items), second.next]).toEqual([[2, 1], null]);
    });

    test('of all the newest pages are kept, of a service its newest records', async () => {
      const other = await truth.open({ all: 20, page: 10, service: 5, undo: 10 });
      for (let at = 1; at <= 57; at += 1) {
        const services = at <= 7 ? ['quiet'] : ['busy'];
        await must(other.audit.append(term, buildEntry({ services })));
        await other.audit.tend(term);
      }
      for (let round = 0; round < 9; round += 1) await other.audit.tend(term);
      const kept = numbersOf(await asked({ limit: 500 }, other));
      expect([kept[0], kept.at(-1), kept.length]).toEqual([57, 30, 28]);
      expect(numbersOf(await asked({ service: 'quiet' }, other))).toEqual([7, 6, 5, 4, 3]);
      expect(numbersOf(await asked({ service: 'busy' }, other))).toEqual([57, 56, 55, 54, 53]);
      expect(numbersOf(await must(other.audit.following(0, 5)))).toEqual([30, 31, 32, 33, 34]);
      expect(await must(other.audit.record(29))).toBeNull();
    });

    test('what undoes a change is kept apart, for the newest', async () => {
      const undo = { kind: 'freeze_all', before: null, after: 'abc' } as const;
      const other = await truth.open({ all: 100, page: 10, service: 5, undo: 10 });
      for (let at = 0; at < 45; at += 1)
        await must(other.audit.append(term, buildEntry(at % 5 === 4 ? {} : { undo })));
      expect(await must(other.audit.record(1))).toMatchObject({ undo });
      for (let round = 0; round < 5; round += 1) await other.audit.tend(term);
      for (const n of [31, 44]) expect(await must(other.audit.record(n))).toMatchObject({ n, undo });
      expect(await must(other.audit.record(45))).toMatchObject({ undo: { why: 'it is a test' } });
      expect(await must(other.audit.record(1))).toMatchObject({
        n: 1,
        undo: { kind: 'none', why: expect.stringMatching(/too old/) },
      });
      for (const query of [{}, { service: 'shop' }])
        expect((await asked({ ...query, limit: 2 }, other)).map((one) => one.undo.kind)).toEqual([
          'none',
          'apart',
        ]);
    });

    test('all of it can be copied, and written back where it is missing', async () => {
      await append(...Array.from({ length: 23 }, (_, at) => ({ request_id: `r-${String(at)}` })));
      const copy: AuditRecord[] = [];
      for (let part = await must(side.audit.following(0, 10)); part.length > 0;) {
        copy.push(...part);
        part = await must(side.audit.following(part.at(-1)?.n ?? 0, 10));
      }
      expect(numbersOf(copy)).toEqual(Array.from({ length: 23 }, (_, at) => at + 1));
      const fresh = await make();
      const office = await must(fresh.office().take(0));
      const into = await fresh.open();
      await must(into.audit.restore(office, copy.slice(3)));
      await must(into.audit.restore(office, copy));
      await must(into.audit.append(office, buildEntry({ by: 'bob' })));
      expect(await must(into.audit.following(0, 100))).toMatchObject([...copy, { n: 24, by: 'bob' }]);
      expect(numbersOf(await asked({ service: 'shop' }, into))).toHaveLength(24);
      await fresh.close();
    });

    test('the newest number is known, and the next one is greater than any that is named', async () => {
      expect(await must(side.audit.newest())).toBe(0);
      await append({}, {});
      expect(await must(side.audit.newest())).toBe(2);
      side.audit.goOnAfter(1);
      await append({});
      side.audit.goOnAfter(1_500);
      await append({}, {});
      expect(await must(side.audit.newest())).toBe(1_502);
      expect(numbersOf(await must(side.audit.following(0, 10)))).toEqual([1, 2, 3, 1_501, 1_502]);
    });

    test('only a leader writes records back', async () => {
      await append({});
      const copy = await must(side.audit.following(0, 10));
      await must(truth.office().take(term.epoch + 1));
      expect(await side.audit.restore(term, copy)).toMatchObject({ error: { kind: 'fenced' } });
    });
  });
}
