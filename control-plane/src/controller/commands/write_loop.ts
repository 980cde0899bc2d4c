import type { Clock, Term, WriteFailure } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import { err, type Result } from '../../model/result.js';
import type { Refusal } from '../office/leadership.js';

/** How long one change is decided anew before the client is told to try again, in milliseconds. */
const MOST_TRYING_MS = 5_000;
/** Between two questions about whose term is present. */
const ASK_AGAIN_MS = 100;

/** What one try to decide and write came to: an answer for the client, or a write that was not taken. */
export type Try<T> =
  | { readonly kind: 'answered'; readonly answer: Result<T, Problem> }
  | { readonly kind: 'refused'; readonly term: Term; readonly failure: WriteFailure };

export interface WriteLoopDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** What a fenced write means; see `Leadership.refused`. */
  readonly refused: (term: Term) => Promise<Refusal>;
  readonly pause: (ms: number) => Promise<void>;
}

/** What one that is out of office answers. */
export const NOT_LEADER: Problem = {
  code: 'not_leader',
  detail:
    'Another controller has taken office. Send this to that one, or restart this one to take office back.',
};
/** A write that has no answer. */
export const UNAVAILABLE = (reason: string): Problem => ({
  code: 'store_unavailable',
  detail: `ZooKeeper did not take the write (${reason}). It may have been applied: read before trying again, or repeat it with the same Idempotency-Key.`,
});

/**
 * Decides, writes, and decides anew on the newest state as long as the write was certainly not applied: somebody else wrote
 * first, or the term it was written under was an older one of our own. Every change that clients ask for goes this way, so
 * it takes effect exactly once. `news` resolves when what somebody else wrote has been read, or after a bounded time.
 */
export async function decideAndWrite<T>(
  deps: WriteLoopDeps,
  decide: () => Promise<Try<T>>,
  news: (conflict: WriteFailure & { readonly kind: 'conflict' }) => Promise<void>,
): Promise<Result<T, Problem>> {
  const until = deps.clock.monotonic() + MOST_TRYING_MS;
  for (;;) {
    const tried = await decide();
    if (tried.kind === 'answered') return tried.answer;
    const { failure, term } = tried;
    if (failure.kind === 'unavailable') return err(UNAVAILABLE(failure.reason));
    if (failure.kind === 'conflict') await news(failure);
    else {
      const refusal = await deps.refused(term);
      if (refusal === 'fenced') return err(NOT_LEADER);
      if (refusal === 'unknown') await deps.pause(ASK_AGAIN_MS);
    }
    if (deps.clock.monotonic() >= until) return err(failure.kind === 'conflict' ? KEEPS_CHANGING : UNSURE);
  }
}

const KEEPS_CHANGING: Problem = {
  code: 'conflict',
  detail: 'The record was changed by somebody else at every try. Nothing was changed. Try again.',
};
const UNSURE: Problem = {
  code: 'store_unavailable',
  detail:
    'ZooKeeper refused the write and does not tell which controller is in office. Nothing was changed. Try again.',
};
