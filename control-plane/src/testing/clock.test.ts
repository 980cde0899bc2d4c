import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../clock.js';
import { createFakeClock } from './clock.js';
import { clockContract } from './clock.contract.js';

clockContract('the clock of the process', () => ({ clock: systemClock, pass: (ms) => pause(ms * 2) }));
clockContract('the fake clock', () => {
  const clock = createFakeClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

test('the fake clock: each timer runs at its own moment, what it begins is part of the way, and none is left', async () => {
  const clock = createFakeClock();
  const moments: number[] = [];
  const walk = (async () => {
    for (const ms of [100, 250, 50]) {
      await clock.sleep(ms);
      moments.push(clock.monotonic());
    }
  })();
  await clock.advance(349);
  expect(moments).toEqual([100]);
  await clock.advanceToNext();
  expect(moments).toEqual([100, 350]);
  await clock.advance(60_000);
  await walk;
  expect(moments).toEqual([100, 350, 400]);
  expect(clock.monotonic()).toBe(60_350);
  expect(clock.waiting()).toBe(0);
  await expect(clock.advanceToNext()).rejects.toThrow('no timer waits');
});

test('the fake clock: the wall may jump, and no timer notices', async () => {
  const clock = createFakeClock(1_000);
  let ran = 0;
  clock.after(10, () => (ran += 1));
  clock.setWall(900_000);
  await clock.advance(9);
  expect([clock.wall(), ran]).toEqual([900_009, 0]);
  await clock.advance(1);
  expect(ran).toBe(1);
});

test('a wait that is longer than what Node can count does not end at once', async () => {
  let ran = false;
  using _timer = systemClock.after(2 ** 40, () => (ran = true));
  using _never = systemClock.after(Infinity, () => (ran = true));
  await systemClock.sleep(20);
  expect(ran).toBe(false);
});
