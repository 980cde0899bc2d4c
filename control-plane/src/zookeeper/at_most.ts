/** Resolves when `work` has settled, or after `ms`, whichever is first. Never rejects, and leaves no timer behind. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  const settled = work.then(
    () => undefined,
    () => undefined,
  );
  await Promise.race([settled, late]);
  clearTimeout(timer);
}

/** What a part may take to tidy up at a server that may not answer any more. */
export const TIDY_MS = 500;
