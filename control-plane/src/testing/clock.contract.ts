import { describe, expect, test } from 'vitest';
import type { Clock } from '../model/clock.js';

/** What every clock promises. `pass` lets that many milliseconds of it go by, and what falls due with them. */
export function clockContract(
  name: string,
  make: () => { readonly clock: Clock; readonly pass: (ms: number) => Promise<void> },
): void {
  describe(`${name} is a clock`, () => {
    test('both times go forward alike', async () => {
      const { clock, pass } = make();
      const [monotonic, wall] = [clock.monotonic(), clock.wall()];
      await pass(30);
      expect(clock.monotonic() - monotonic).toBeGreaterThanOrEqual(30);
      expect(clock.wall() - wall).toBeGreaterThanOrEqual(28); // a wall clock counts whole milliseconds
    });

    test('after: once, in the order of the moments, never before its time, never inside the call', async () => {
      const { clock, pass } = make();
      const seen: [string, number][] = [];
      const began = clock.monotonic();
      const note = (what: string) => () => void seen.push([what, clock.monotonic() - began]);
      clock.after(20, note('later'));
      clock.after(0, note('at once'));
      clock.after(-5, note('overdue'));
      clock.after(10.5, note('sooner'));
      clock.after(Infinity, note('never'));
      expect(seen).toEqual([]);
      await pass(60);
      expect(seen.map(([what]) => what)).toEqual(['at once', 'overdue', 'sooner', 'later']);
      expect(seen[2]?.[1]).toBeGreaterThanOrEqual(10.5);
      expect(seen[3]?.[1]).toBeGreaterThanOrEqual(20);
    });

    test('what is stopped does not happen; stopping again is nothing', async () => {
      const { clock, pass } = make();
      const seen: string[] = [];
      const one = clock.after(10, () => seen.push('one'));
      {
        using _two = clock.every(5, () => seen.push('two'));
      }
      one.stop();
      one.stop();
      await pass(30);
      expect(seen).toEqual([]);
    });

    test('every: at multiples of its span, each once, until it stops itself', async () => {
      const { clock, pass } = make();
      await pass(3);
      const multiple = (): number => Math.floor((clock.monotonic() + 0.5) / 10);
      const multiples = [multiple()];
      const timer = clock.every(10, () => {
        multiples.push(multiple());
        if (multiples.length === 4) timer.stop();
      });
      await pass(100);
      expect(multiples).toHaveLength(4);
      expect(new Set(multiples).size).toBe(4);
      expect(multiples).toEqual(multiples.toSorted((a, b) => a - b));
    });

    test('every: what has the same span happens together, whenever it began', async () => {
      const { clock, pass } = make();
      let [one, other] = [NaN, NaN];
      using _one = clock.every(200, () => (one = clock.monotonic()));
      await pass(7);
      using _other = clock.every(200, () => (other = clock.monotonic()));
      await pass(250);
      expect(Math.abs(one - other)).toBeLessThan(100);
    });

    test('sleep ends with its time, and never before', async () => {
      const { clock, pass } = make();
      const began = clock.monotonic();
      const slept = clock.sleep(15).then(() => clock.monotonic() - began);
      await pass(40);
      expect(await slept).toBeGreaterThanOrEqual(15);
    });

    test('sleep ends with its signal, without a rejection', async () => {
      const { clock } = make();
      const stop = new AbortController();
      const slept = clock.sleep(60_000, stop.signal);
      stop.abort();
      await slept;
      await clock.sleep(60_000, stop.signal);
    });

    test('sleeping one after the other takes the sum', async () => {
      const { clock, pass } = make();
      const began = clock.monotonic();
      const slept = (async () => {
        for (let turn = 0; turn < 3; turn += 1) await clock.sleep(10);
        return clock.monotonic() - began;
      })();
      await pass(120);
      expect(await slept).toBeGreaterThanOrEqual(30);
    });

    test('a deadline aborts with a TimeoutError once its time is over, and not once it was stopped', async () => {
      const { clock, pass } = make();
      using kept = clock.deadline(10);
      const stopped = clock.deadline(10);
      stopped.stop();
      expect(kept.signal.aborted).toBe(false);
      await pass(40);
      expect(kept.signal.reason).toMatchObject({ name: 'TimeoutError' });
      expect(stopped.signal.aborted).toBe(false);
    });
  });
}
