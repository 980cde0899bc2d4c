import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks `probe` every 20 ms until it gives something other than undefined, null or false, and resolves with that. A
 * probe that throws is asked again. On time-out the error says what was awaited and what came last.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 15_000, everyMs = 20 }: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + timeoutMs;
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
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs} ms for: ${what}; the last answer was ${show(last)}`);
    await pause(everyMs);
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

function show(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.slice(0, 2_000);
}
