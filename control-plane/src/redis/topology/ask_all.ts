import type { HostPort } from '../../model/field.js';
import type { Clock } from '../../model/ports.js';
import type { Result } from '../../model/result.js';

/** How long those that have not answered yet are waited for once one has: a black hole must not delay the others by its time-out. */
const GRACE_MS = 200;

/** What nodes said that were asked the same at once. */
export interface Answers<T> {
  readonly good: readonly T[];
  /** Why each of the others gave none. */
  readonly errors: readonly string[];
}

/** Asks all nodes at once. Resolves when each has answered or failed, or 200 ms after the first good answer. */
export async function askAll<T>(
  nodes: readonly HostPort[],
  ask: (node: HostPort) => Promise<Result<T, string>>,
  clock: Clock,
): Promise<Answers<T>> {
  const good: T[] = [];
  const errors: string[] = [];
  const grace = new AbortController();
  const asked = nodes.map(async (node) => {
    const answer = await ask(node);
    if (answer.ok) good.push(answer.value);
    else errors.push(answer.error);
    return answer.ok;
  });
  const firstGood = Promise.any(
    asked.map(async (one) => {
      if (!(await one)) throw new Error('no answer');
    }),
  ).then(
    () => clock.sleep(GRACE_MS, grace.signal),
    () => undefined,
  );
  await Promise.race([Promise.all(asked), firstGood]);
  grace.abort();
  return { good: [...good], errors: [...errors] };
}
