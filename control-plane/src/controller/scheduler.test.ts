import { expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { Scheduler } from './scheduler.js';

test('a moment that has passed makes no spin: I/O and timers get their turn, passes keep their spacing', async () => {
  const scheduler = new Scheduler(clock, 20);
  const stop = new AbortController();
  const timer = setTimeout(() => {
    stop.abort();
  }, 200);
  let passes = 0;
  while (await scheduler.next(stop.signal)) {
    passes += 1;
    scheduler.wakeAt(-Infinity);
    if (passes > 1_000) break;
  }
  clearTimeout(timer);
  expect(passes).toBeGreaterThan(0);
  expect(passes).toBeLessThanOrEqual(11);
});

test('what an operator asks for does not wait for the spacing, and starves nobody', async () => {
  const scheduler = new Scheduler(clock, 60_000);
  const stop = new AbortController();
  expect(await scheduler.next(stop.signal)).toBe(true);
  let ticked = false;
  setImmediate(() => (ticked = true));
  for (let pass = 0; pass < 3; pass += 1) {
    scheduler.urge();
    expect(await scheduler.next(stop.signal)).toBe(true);
  }
  expect(ticked).toBe(true);
});
