import { afterEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../clock.js';
import { MemoryStoreClocks } from '../../testing/memory/store_clocks.js';
import { CheckedClock } from './checked_clock.js';

const HOUR = 3_600_000;
const stores = new MemoryStoreClocks(systemClock);
/** What ours is away from the true time. */
let ours = 0;
let clock: CheckedClock | undefined;

function start(): CheckedClock {
  const own = { ...systemClock, wall: () => Date.now() + ours };
  clock = new CheckedClock({ clock: own, stores, boundMs: 30_000, changed: () => undefined });
  void clock.start();
  return clock;
}
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 20 });
const near = (time: number, by: number): void => {
  expect(Math.abs(time - Date.now() - by)).toBeLessThan(2_000);
};

afterEach(async () => {
  await clock?.close();
  Object.assign(stores.by, { zookeeper: 0, redis: 0 });
  ours = 0;
});

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
