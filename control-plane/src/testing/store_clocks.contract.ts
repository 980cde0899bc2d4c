import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lifecycle, StoreClocks } from '../model/ports.js';
import { must } from './must.js';
import { until } from './until.js';

type Store = keyof StoreClocks;

/** Two stores that show the true time. */
export interface Clocks extends Pick<Lifecycle, 'close'> {
  readonly clocks: StoreClocks;
  /** The true time. */
  wall(): number;
  connect(store: Store, mode: 'pass' | 'away'): void;
}

const STORES: readonly Store[] = ['zookeeper', 'redis'];

/** What the clocks of stores promise. */
export function storeClocksContract(name: string, make: () => Promise<Clocks>): void {
  describe(`${name} has the clocks of the stores`, () => {
    let made: Clocks;
    beforeEach(async () => {
      made = await make();
      for (const store of STORES) await until(() => must(made.clocks[store]()));
    });
    afterEach(async () => {
      for (const store of STORES) made.connect(store, 'pass');
      await made.close();
    });

    test.each(STORES)(
      'that of %s shows the time of now, in milliseconds, and goes forward',
      async (store) => {
        const before = made.wall();
        const first = await must(made.clocks[store]());
        const second = await must(made.clocks[store]());
        // Each may round to its own unit.
        expect(first).toBeGreaterThan(before - 1_000);
        expect(second).toBeLessThan(made.wall() + 1_000);
        expect(second).toBeGreaterThanOrEqual(first);
      },
    );

    test.each(STORES)('%s away is a failure with a reason, and nothing to the other', async (store) => {
      made.connect(store, 'away');
      await until(async () => expect((await made.clocks[store]()).ok).toBe(false));
      expect(await made.clocks[store]()).toEqual({ ok: false, error: expect.stringMatching(/./) as string });
      for (const other of STORES) if (other !== store) await must(made.clocks[other]());
      made.connect(store, 'pass');
      await until(() => must(made.clocks[store]()));
    });
  });
}
