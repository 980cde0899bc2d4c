import type { Clock } from '../model/ports.js';

/** A clock that stands still until it is told to go. */
export interface FakeClock extends Clock {
  /** Moves both times forward. */
  advance(ms: number): void;
  /** Lets the wall clock jump, as clocks of machines do; `monotonic` does not notice. */
  setWall(ms: number): void;
}

/** Starts at monotonic 0 and at the given wall time (milliseconds, default 2026-11-21T00:00:00Z). */
export function createFakeClock(wall: number = Date.UTC(2026, 10, 21)): FakeClock {
  let monotonicNow = 0;
  let wallNow = wall;
  return {
    monotonic: () => monotonicNow,
    wall: () => wallNow,
    advance: (ms) => {
      if (!(ms >= 0)) throw new Error('a clock only goes forward');
      monotonicNow += ms;
      wallNow += ms;
    },
    setWall: (ms) => {
      wallNow = ms;
    },
  };
}
