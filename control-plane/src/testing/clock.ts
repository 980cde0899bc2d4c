import { completeClock, timerOf, type Clock } from '../model/clock.js';

/** A clock that stops until it is moved. */
export interface FakeClock extends Clock {
  /**
   * Moves both times forward. Runs what falls due on the way, in order and each at its own moment, and lets everything that
   * waits for promises go on after each; what it then begins is part of the way. One call at a time.
   */
  advance(ms: number): Promise<void>;
  /** Moves on to the moment at which the next timer is due, and runs it. Refuses if nothing waits. */
  advanceToNext(): Promise<void>;
  /** How many timers wait. */
  waiting(): number;
  /** Lets the wall clock jump, as clocks of machines do; `monotonic` and timers do not notice. */
  setWall(ms: number): void;
}

interface Waiting {
  readonly due: number;
  readonly run: () => void;
}

/** Starts at monotonic 0 and at the given wall time (milliseconds, default 2026-11-21T00:00:00Z). */
export function createFakeClock(wall: number = Date.UTC(2026, 10, 21)): FakeClock {
  let monotonicNow = 0;
  let ahead = wall;
  let moving = false;
  /** In the order of their making; Set keeps it. */
  const timers = new Set<Waiting>();

  const next = (): Waiting | undefined => {
    let first: Waiting | undefined;
    for (const timer of timers) if (first === undefined || timer.due < first.due) first = timer;
    return first;
  };
  const moveTo = async (until: number): Promise<void> => {
    if (moving) throw new Error('the clock is being moved already: await advance()');
    moving = true;
    try {
      await settle();
      for (let timer = next(); timer !== undefined && timer.due <= until; timer = next()) {
        timers.delete(timer);
        monotonicNow = Math.max(monotonicNow, timer.due);
        timer.run();
        await settle();
      }
      monotonicNow = until;
    } finally {
      moving = false;
    }
  };
  return {
    ...completeClock({
      monotonic: () => monotonicNow,
      wall: () => ahead + monotonicNow,
      after: (ms, run) => {
        const timer = { due: monotonicNow + Math.max(0, ms), run };
        if (ms !== Infinity) timers.add(timer);
        return timerOf(() => void timers.delete(timer));
      },
    }),
    advance: async (ms) => {
      if (!(ms >= 0)) throw new Error('a clock only goes forward');
      await moveTo(monotonicNow + ms);
    },
    advanceToNext: async () => {
      await settle();
      const timer = next();
      if (timer === undefined) throw new Error('no timer waits');
      await moveTo(timer.due);
    },
    waiting: () => timers.size,
    setWall: (ms) => {
      ahead = ms - monotonicNow;
    },
  };
}

/** Lets go on whatever waits for promises that are settled: they all come before what is asked for here. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
