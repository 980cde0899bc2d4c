import type { ControlPlane } from '../model/control_plane.js';
import type { Clock } from '../model/ports.js';

/** Reads until `done`, until `waitMs` is over, or until `signal` aborts; returns what was read last. Never rejects by time. */
export type Wait = <T>(
  read: () => T,
  done: (value: T) => boolean,
  waitMs: number,
  signal: AbortSignal,
) => Promise<T>;

/** A `Wait` that reads again at every change of the plane. */
export function createWait(plane: ControlPlane, clock: Clock): Wait {
  return async (read, done, waitMs, signal) => {
    let value = read();
    if (waitMs <= 0 || done(value) || signal.aborted) return value;
    const deadline = clock.monotonic() + waitMs;
    const over = new AbortController();
    const end = (): void => {
      over.abort();
    };
    const timer = clock.after(waitMs, end);
    signal.addEventListener('abort', end, { once: true });
    try {
      for (;;) {
        await plane.changed(over.signal);
        value = read();
        if (done(value) || over.signal.aborted || clock.monotonic() >= deadline) return value;
      }
    } finally {
      timer.stop();
      signal.removeEventListener('abort', end);
      over.abort(); // ends whatever `changed` still waits for
    }
  };
}
