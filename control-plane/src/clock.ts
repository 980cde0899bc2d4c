import { completeClock, timerOf, type Clock, type Timer } from './model/clock.js';

/** Longer waits than this overflow Node's timers, which then fire at once. */
const LONGEST_MS = 2_147_483_647;

/** The clock of this process. Its timers keep the process alive. */
export const systemClock: Clock = completeClock({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after,
});

function after(ms: number, run: () => void): Timer {
  const due = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = Math.ceil(due - performance.now());
    timer = setTimeout(
      () => {
        // Node's timers may fire up to a millisecond early.
        if (performance.now() >= due) run();
        else arm();
      },
      Math.min(LONGEST_MS, Math.max(1, left)),
    );
  };
  arm();
  return timerOf(() => {
    clearTimeout(timer);
  });
}
