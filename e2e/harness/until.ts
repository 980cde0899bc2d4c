import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks `probe` until it gives something other than undefined, null or false, and resolves with that. A probe that throws is
 * asked again. On time-out the error says what was awaited and what came last. It asks every 20 ms, after half a second
 * every 100 ms: each question to the API costs test and controller some milliseconds of CPU.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 15_000, everyMs }: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const began = performance.now();
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false)
        return value as Exclude<T, undefined | null | false>;
      last = value;
    } catch (error) {
      last = error instanceof Error ? error.message : error;
    }
    const waited = performance.now() - began;
    if (waited > timeoutMs)
      throw new Error(`waited ${timeoutMs} ms for: ${what}; the last answer was ${show(last)}`);
    await pause(everyMs ?? (waited < 500 ? 20 : 100));
  }
}

/** `until` for a value and what must contain of it; the error shows the last value. */
export async function untilValue<T>(
  what: string,
  read: () => T | Promise<T>,
  fits: (value: T) => boolean,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  let last: T | undefined;
  try {
    return (
      await until(
        what,
        async () => {
          const value = await read();
          last = value;
          return fits(value) ? { value } : null;
        },
        options,
      )
    ).value;
  } catch (error) {
    throw new Error(`${(error as Error).message}; the last value was ${show(last)}`, { cause: error });
  }
}

/**
 * Lets time pass where the time is the scenario: a silence, a distance between two faults, a span in which something must not
 * happen. Never a wait for what may happen: that is `until`.
 */
export async function timePasses(_why: string, ms: number): Promise<void> {
  await pause(ms);
}

/** Throws as soon as `what` happens within `ms`. */
export async function neverWithin(ms: number, what: string, happened: () => boolean): Promise<void> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    if (happened()) throw new Error(`${what}, which must not happen`);
    await pause(20);
  }
}

/** Waits until `read` has given the same for `ms`. */
export async function unchangedFor(ms: number, what: string, read: () => number): Promise<void> {
  let [last, since] = [read(), performance.now()];
  await until(`${what}: the same for ${String(ms)} ms`, () => {
    const now = read();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since >= ms;
  });
}

function show(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.slice(0, 2_000);
}
