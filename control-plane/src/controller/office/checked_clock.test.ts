import { afterEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../clock.js';
import { err, ok, type Result } from '../../model/result.js';
import { CheckedClock } from './checked_clock.js';

const HOUR = 3_600_000;
/** What the stores' clocks, and ours, are away from the true time; null = it does not answer. */
const skew = { ours: 0, zookeeper: 0 as number | null, redis: 0 as number | null };
let clock: CheckedClock | undefined;

function start(): CheckedClock {
  const timeOf = (store: 'zookeeper' | 'redis') => (): Promise<Result<number, string>> => {
    const by = skew[store];
    return Promise.resolve(by === null ? err('away') : ok(Date.now() + by));
  };
  const own = { ...systemClock, wall: () => Date.now() + skew.ours };
  const stores = { zookeeper: timeOf('zookeeper'), redis: timeOf('redis') };
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
  Object.assign(skew, { ours: 0, zookeeper: 0, redis: 0 });
});

it('lets nothing expire before a store has shown the time, then all by its own clock', async () => {
  Object.assign(skew, { zookeeper: null, redis: null });
  const made = start();
  expect(made.due()).toBe(-Infinity);
  expect(made.state()).toMatchObject({ state: 'unknown' });
  skew.redis = 0;
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 0);
  near(made.wall(), 0);
});

it('that starts 2 h ahead writes the time of the stores, lets nothing expire, and says so', async () => {
  skew.ours = 2 * HOUR;
  const made = start();
  await until(() => expect(made.state().state).toBe('out_of_sync'));
  expect(made.due()).toBe(-Infinity);
  near(made.wall(), 0);
  expect(made.state().ahead_ms.zookeeper).toBeGreaterThan(2 * HOUR - 1_000);
  expect(made.problem()).toMatchObject([{ code: 'clock', service: null }]);
  skew.ours = 0;
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 0);
});

it('that jumps is noticed at once; what was due stays due, and spans do not jump', async () => {
  const made = start();
  await until(() => expect(made.state().state).toBe('in_sync'));
  const due = made.due();
  skew.ours = 2 * HOUR;
  expect(made.due()).toBe(due);
  expect(made.state().state).toBe('out_of_sync');
  near(made.wall(), 0);
  await until(() => expect(made.state().detail).toMatch(/ZooKeeper's by 2h/));
  expect(made.due()).toBe(due);
  // The stores are set as well: all agree again.
  Object.assign(skew, { zookeeper: 2 * HOUR, redis: 2 * HOUR });
  await until(() => expect(made.state().state).toBe('in_sync'));
  near(made.due(), 2 * HOUR);
});

it('keeps its last verdict while no store answers', async () => {
  const made = start();
  await until(() => expect(made.state().state).toBe('in_sync'));
  Object.assign(skew, { zookeeper: null, redis: null });
  near(made.due(), 0);
  skew.ours = -HOUR;
  expect(made.state().state).toBe('out_of_sync');
  near(made.wall(), 0);
});
