import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '../../testing/clock.js';
import { MemoryStoreClocks } from '../../testing/memory/store_clocks.js';
import { CheckedClock } from './checked_clock.js';

const HOUR = 3_600_000;
let real: FakeClock;
let stores: MemoryStoreClocks;
/** What ours is away from the true time. */
let ours: number;
let clock: CheckedClock;

beforeEach(() => {
  real = createFakeClock();
  stores = new MemoryStoreClocks(real);
  ours = 0;
  const own = { ...real, wall: () => real.wall() + ours };
  clock = new CheckedClock({ clock: own, stores, boundMs: 30_000, changed: () => undefined });
});
afterEach(() => clock.close());

function start(): CheckedClock {
  void clock.start();
  return clock;
}

/** Lets the time pass until `check` no longer throws, 20 s at most: the stores are asked every second, or every ten. */
async function until(check: () => void): Promise<void> {
  for (let second = 0; second < 20; second += 1) {
    try {
      await real.advance(0);
      check();
      return;
    } catch {
      await real.advance(1_000);
    }
  }
  check();
}
const near = (time: number, by: number): void => {
  expect(Math.abs(time - real.wall() - by)).toBeLessThan(10);
};

it('lets nothing expire before a store has shown the time, then all by its own clock', async () => {
  Object.assign(stores.by, { zookeeper: null, redis: null });
  const made = start();
  expect(made.due()).toBe(-Infinity);
  expect(made.state()).toMatchObject({ state: 'unknown' });
  stores.by.redis = 0;
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 0);
  near(made.wall(), 0);
});

it('that starts 2 h ahead writes the time of the stores, lets nothing expire, and says so', async () => {
  ours = 2 * HOUR;
  const made = start();
  await until(() => expect(made.state().state).toBe('out_of_sync'));
  expect(made.due()).toBe(-Infinity);
  near(made.wall(), 0);
  expect(made.state().ahead_ms.zookeeper).toBeGreaterThan(2 * HOUR - 1_000);
  expect(made.problem()).toMatchObject([{ code: 'clock', service: null }]);
  ours = 0;
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 0);
});

it('that jumps is noticed at once; what was due stays due, and spans do not jump', async () => {
  const made = start();
  await until(() => expect(made.state().state).toBe('in_sync'));
  const due = made.due();
  ours = 2 * HOUR;
  expect(made.due()).toBe(due);
  expect(made.state().state).toBe('out_of_sync');
  near(made.wall(), 0);
  await until(() => expect(made.state().detail).toMatch(/ZooKeeper's by 2h/));
  expect(made.due()).toBe(due);
  // The stores are set as well: all agree again.
  Object.assign(stores.by, { zookeeper: 2 * HOUR, redis: 2 * HOUR });
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 2 * HOUR);
});

it('keeps its last verdict while no store answers', async () => {
  const made = start();
  await until(() => expect(made.state().state).toBe('in_sync'));
  Object.assign(stores.by, { zookeeper: null, redis: null });
  near(made.due(), 0);
  ours = -HOUR;
  expect(made.state().state).toBe('out_of_sync');
  near(made.wall(), 0);
});
