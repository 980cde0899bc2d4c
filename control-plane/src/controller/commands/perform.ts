import type { Term, WriteFailure } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import { NOT_LEADER } from '../office/authority.js';
import type { Caller, CommandContext } from './context.js';

/** How long one change is decided again before the client is asked to try again, in milliseconds. */
const MOST_TRYING_MS = 5_000;
/** Between two questions about whose term is present. */
const ASK_AGAIN_MS = 100;
/** How long a change waits for what somebody else wrote, where nothing says that it was read. */
const UPDATES_MS = 200;

type Conflict = WriteFailure & { readonly kind: 'conflict' };

/** A change that somebody asks for. */
export interface Change<T> {
  /** What it is called where it is recorded. */
  readonly kind: string;
  /** The queue it waits in: a service, null = behind all services, `@name` = one of no service. */
  readonly queue: string | null;
  /** What the change comes to on the newest state. Changes nothing. */
  readonly decide: () => Result<T, Problem>;
  /** Writes what was decided under `term`, all or nothing; null = there is nothing to write. */
  readonly write: (decided: T, term: Term) => Promise<Result<unknown, WriteFailure>> | null;
  /** After somebody else wrote first: resolves when that was read, or after a bounded time. Absent = a short pause. */
  readonly updated?: (decided: T, conflict: Conflict) => Promise<void>;
  /** What was changed, for the record. */
  readonly about: (decided: T) => object;
}

type Needs = Pick<CommandContext, 'authority' | 'passes' | 'queue' | 'clock' | 'log'>;

/**
 * The one way of every change that people ask for: refuses what may not be decided now, waits for its turn, decides and writes,
 * records the change, and publishes it at once. A dry run is decided and nothing else.
 */
export async function perform<T>(
  context: Needs,
  caller: Caller,
  change: Change<T>,
): Promise<Result<T, Problem>> {
  if (caller.dry_run) {
    const refusal = context.authority.refusal(true);
    return refusal ? err(refusal) : change.decide();
  }
  const done = await context.queue.take(change.queue, () => decideAndWrite(context, change));
  if (!done.ok) return done;
  const { decided, written } = done.value;
  if (written) record(context, caller, change.kind, change.about(decided));
  await context.passes.settled();
  return ok(decided);
}

/**
 * Writes down that a change was made. Every mutation comes by here, and none twice; at debug level, since the API's line `mutated`
 * has the answer as well.
 */
export function record(
  { log }: Pick<CommandContext, 'log'>,
  { by, reason, force }: Omit<Caller, 'dry_run'>,
  kind: string,
  about: object,
): void {
  log.debug({ mutation: kind, by, reason, ...(force ? { force } : {}), ...about }, 'change written');
}

interface Done<T> {
  readonly decided: T;
  readonly written: boolean;
}

/**
 * Decides and writes. Decides again on the newest state as long as the write was certainly not applied: somebody else wrote
 * first, or the term was an older one of our own. So each change takes effect exactly once.
 */
async function decideAndWrite<T>(context: Needs, change: Change<T>): Promise<Result<Done<T>, Problem>> {
  const { authority, clock, passes } = context;
  const until = clock.monotonic() + MOST_TRYING_MS;
  for (;;) {
    const refusal = authority.refusal(false);
    if (refusal !== null) return err(refusal);
    const { term } = authority;
    const decision = change.decide();
    if (!decision.ok) return decision;
    const decided = decision.value;
    const writing = term === null ? null : change.write(decided, term);
    if (term === null || writing === null) return ok({ decided, written: false });
    const written = await writing;
    if (written.ok) return ok({ decided, written: true });
    const failure = written.error;
    if (failure.kind === 'unavailable') return err(unavailable(failure.reason));
    if (failure.kind === 'conflict') await (change.updated?.(decided, failure) ?? passes.pause(UPDATES_MS));
    else {
      const meaning = await authority.refused(term);
      if (meaning === 'fenced') return err(NOT_LEADER);
      if (meaning === 'unknown') await passes.pause(ASK_AGAIN_MS);
    }
    if (clock.monotonic() >= until) return err(failure.kind === 'conflict' ? KEEPS_CHANGING : UNSURE);
  }
}

function unavailable(reason: string): Problem {
  return {
    code: 'store_unavailable',
    detail: `ZooKeeper did not take the write (${reason}). It may have been applied: read before trying again, or repeat it with the same Idempotency-Key.`,
  };
}

const KEEPS_CHANGING: Problem = {
  code: 'conflict',
  detail: 'The record was changed by somebody else at every try. Nothing was changed. Try again.',
};
const UNSURE: Problem = {
  code: 'store_unavailable',
  detail:
    'ZooKeeper refused the write and does not say which controller leads. Nothing was changed. Try again.',
};
