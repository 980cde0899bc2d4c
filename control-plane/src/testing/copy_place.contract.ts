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
  return { epoch, at: '2026-05-01T12:00:00.000Z', records };
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

    test('what does not fit into one step replaces all the same', async () => {
      const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`s${String(n)}`, n]));
      await must(place.replace(copyOf(1, { a: 1 }), false));
      await must(place.replace(copyOf(1, many), true));
      expect(((await revs('newest')) as readonly unknown[]).length).toBe(3_001);
      expect(await revs('previous')).toEqual([1, 'intents/a 1']);
    });
  });
}
