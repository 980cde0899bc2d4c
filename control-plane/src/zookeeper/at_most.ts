import type { Clock } from '../model/ports.js';

/** Resolves when `work` has settled, or after `ms`, whichever is first. Never rejects, and leaves no timer behind. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const settled = work.then(
    () => undefined,
    () => undefined,
  );
  await Promise.race([settled, clock.sleep(ms, over.signal)]);
  over.abort();
}

/** What a part may take to tidy up at a server that may not answer any more. */
export const TIDY_MS = 500;
