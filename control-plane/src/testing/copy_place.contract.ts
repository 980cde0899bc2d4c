import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CopyPlace, KeptCopy } from '../model/truth_copy.js';
import { ok } from '../model/result.js';
import { must } from './must.js';
import { until } from './until.js';

/** A place that is empty at first, and what happens to it. */
export interface OpenedPlace {
  /** The same place as another controller opens it, not started. */
  open(): CopyPlace;
  close(): Promise<void>;
}

function copyOf(epoch: number, values: Readonly<Record<string, number>>): KeptCopy {
  const records = Object.entries(values)
    .map(([name, rev]) => ({ record: `intents/${name}`, value: JSON.stringify({ rev }) }))
    .sort((a, b) => (a.record < b.record ? -1 : 1));
  return { epoch, at: '2026-05-01T12:00:00.000Z', tokens: true, records };
}

/** What every place of a copy promises. */
export function describeCopyPlace(name: string, openPlace: () => Promise<OpenedPlace>): void {
  describe(`a place of copies: ${name}`, () => {
    let opened: OpenedPlace;
    let place: CopyPlace;
    const started: CopyPlace[] = [];
    const open = async (): Promise<CopyPlace> => {
      const one = opened.open();
      started.push(one);
      await one.start();
      await until(async () => expect((await one.read('newest')).ok).toBe(true));
      return one;
    };
    const revs = async (which: 'newest' | 'previous', of = place): Promise<unknown> => {
      const text = await must(of.read(which));
      if (text === null) return null;
      const { epoch, records } = JSON.parse(text) as {
        readonly epoch: number;
        readonly records: readonly { readonly record: string; readonly value: { readonly rev: number } }[];
      };
      return [epoch, ...records.map(({ record, value }) => `${record} ${String(value.rev)}`)];
    };
    beforeEach(async () => {
      opened = await openPlace();
      place = await open();
    });
    afterEach(async () => {
      for (const one of started.splice(0)) await one.close();
      await opened.close();
    });

    test('is empty, then has what was written last, as a whole', async () => {
      expect([await revs('newest'), await revs('previous')]).toEqual([null, null]);
      await must(place.replace(copyOf(1, { a: 1, b: 1, c: 1 }), false));
      await must(place.replace(copyOf(1, { a: 2, c: 1 }), false));
      expect(await revs('newest')).toEqual([1, 'intents/a 2', 'intents/c 1']);
      expect(await revs('previous')).toBeNull();
    });

    test('keeps what it had where that is asked for, and only then', async () => {
      await must(place.replace(copyOf(1, { a: 1 }), true));
      expect(await revs('previous')).toBeNull();
      await must(place.replace(copyOf(2, { a: 2 }), true));
      await must(place.replace(copyOf(2, { a: 3 }), false));
      expect(await revs('previous')).toEqual([1, 'intents/a 1']);
      expect(await revs('newest')).toEqual([2, 'intents/a 3']);
    });

    test('says the epoch of the newest, to each that opens it', async () => {
      expect(await place.epoch()).toEqual(ok(null));
      await must(place.replace(copyOf(7, { a: 1 }), false));
      await must(place.replace(copyOf(9, { a: 1 }), true));
      expect(await place.epoch()).toEqual(ok(9));
      expect(await (await open()).epoch()).toEqual(ok(9));
    });

    test('one of a higher epoch is not replaced', async () => {
      await must(place.replace(copyOf(7, { a: 1 }), false));
      const other = await open();
      expect(await other.replace(copyOf(6, {}), true)).toMatchObject({ ok: false });
      expect(await revs('newest')).toEqual([7, 'intents/a 1']);
    });

    test('two that write in turn each write all of theirs', async () => {
      const other = await open();
      await must(place.replace(copyOf(1, { a: 1, b: 1 }), false));
      await must(other.replace(copyOf(2, { c: 1 }), false));
      await must(place.replace(copyOf(3, { a: 1, b: 2 }), false));
      expect(await revs('newest', other)).toEqual([3, 'intents/a 1', 'intents/b 2']);
    });

    const audited = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => {
        const n = from + at;
        return { n, text: JSON.stringify({ v: 1, n, by: 'ann' }) };
      });
    const numbers = async (of = place): Promise<readonly number[]> =>
      (await must(of.audit.read())).map((text) => (JSON.parse(text) as { readonly n: number }).n);

    test('the audit is empty, then has what was added, in order, and says what it ends with', async () => {
      expect([await must(place.audit.newest()), await numbers()]).toEqual([null, []]);
      expect(await must(place.audit.append(1, 0, audited(7, 9)))).toBe('done');
      expect(await must(place.audit.append(1, 9, audited(10, 1_250)))).toBe('done');
      expect(await numbers()).toEqual(audited(7, 1_250).map(({ n }) => n));
      const other = await open();
      expect(await must(other.audit.newest())).toEqual(audited(1_250, 1_250)[0]);
      expect(await numbers(other)).toHaveLength(1_244);
      await must(place.audit.clear(1));
      expect([await must(other.audit.newest()), await numbers(other)]).toEqual([null, []]);
    });

    test('no record is added twice, nor behind another one than is believed', async () => {
      await must(place.audit.append(1, 0, audited(1, 5)));
      for (const after of [0, 3, 6])
        expect(await must(place.audit.append(1, after, audited(after + 1, 9)))).toBe('conflict');
      expect(await numbers()).toEqual([1, 2, 3, 4, 5]);
    });

    test('the audit of a copy of a higher epoch is not touched, and outlives a new copy', async () => {
      await must(place.audit.append(7, 0, audited(1, 5)));
      await must(place.replace(copyOf(7, { a: 1 }), false));
      expect(await place.audit.append(6, 5, audited(6, 7))).toMatchObject({ ok: false });
      expect(await place.audit.clear(6)).toMatchObject({ ok: false });
      await must(place.replace(copyOf(8, { a: 2 }), true));
      expect(await numbers()).toEqual([1, 2, 3, 4, 5]);
    });

    test('of the audit the newest 10,000 are kept, and not many more', async () => {
      for (let n = 1; n < 12_500; n += 500)
        expect(await must(place.audit.append(1, n - 1, audited(n, n + 499)))).toBe('done');
      const kept = await numbers();
      expect(kept.slice(-10_000)).toEqual(audited(2_501, 12_500).map(({ n }) => n));
      expect(kept.length).toBeLessThan(11_000);
      // A gap, however long, is no reason to keep what is old.
      for (let n = 1_000_000; n < 1_010_000; n += 500)
        await must(place.audit.append(1, (await must(place.audit.newest()))?.n ?? 0, audited(n, n + 499)));
      expect((await numbers()).at(0)).toBeGreaterThanOrEqual(999_000);
    });

    test('what does not fit into one step replaces all the same', async () => {
      const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`s${String(n)}`, n]));
      await must(place.replace(copyOf(1, { a: 1 }), false));
      await must(place.replace(copyOf(1, many), true));
      expect(((await revs('newest')) as readonly unknown[]).length).toBe(3_001);
      expect(await revs('previous')).toEqual([1, 'intents/a 1']);
    });
  });
}
