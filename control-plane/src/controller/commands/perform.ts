import type { AuditEntry } from '../../model/audit.js';
import type { WriteFailure } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import { NOT_LEADER } from '../office/authority.js';
import type { Caller, CommandContext } from './context.js';
import { entryOf, type Audited } from './entry.js';
import { carryOut, type Writing } from './writing.js';

/** How long one change is decided again before the client is asked to try again, in milliseconds. */
const MOST_TRYING_MS = 5_000;
/** Between two questions about whose term is present. */
const ASK_AGAIN_MS = 100;
/** How long a change waits for what somebody else wrote, where nothing says that it was read. */
const UPDATES_MS = 200;

type Conflict = WriteFailure & { readonly kind: 'conflict' };

/** A change that somebody asks for. */
export interface Change<T> {
  /** The verb of its record. */
  readonly kind: string;
  /** The queue it waits in: a service, null = behind all services, `@name` = one of no service. */
  readonly queue: string | null;
  /** What the change comes to on the newest state. Changes nothing. */
  readonly decide: () => Result<T, Problem>;
  /** What was decided comes to in the store; null = there is nothing to write. */
  readonly writes: (decided: T) => Writing | null;
  /** What follows outside of the store, once it is written. */
  readonly after?: (decided: T) => Promise<unknown>;
  /** After somebody else wrote first: resolves when that was read, or after a bounded time. Absent = a short pause. */
  readonly updated?: (decided: T, conflict: Conflict) => Promise<void>;
  /** What was changed, for its record. */
  readonly audit: (decided: T) => Audited;
}

type Needs = Pick<CommandContext, 'authority' | 'passes' | 'queue' | 'clock' | 'log'>;

/**
 * The one way of every change that people ask for: refuses what may not be decided now, waits for its turn, decides, writes the
 * change with its record, and publishes it at once. A dry run is decided and nothing else. What changes nothing has no record.
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
  const done = await context.queue.take(change.queue, () => decideAndWrite(context, caller, change));
  if (!done.ok) return done;
  const { decided, entry } = done.value;
  if (entry) logChange(context, entry);
  await context.passes.settled();
  return ok(decided);
}

/** At debug level, since the API's line `mutated` has the answer as well. */
function logChange({ log }: Pick<CommandContext, 'log'>, { undo: _undo, ...entry }: AuditEntry): void {
  log.debug(entry, 'change written');
}

interface Done<T> {
  readonly decided: T;
  /** The record that was written; null = there was nothing to write. */
  readonly entry: AuditEntry | null;
}

/**
 * Decides and writes. Decides again on the newest state as long as the write was certainly not applied: somebody else wrote
 * first, or the term was an older one of our own. So each change takes effect exactly once.
 */
async function decideAndWrite<T>(
  context: Needs,
  caller: Caller,
  change: Change<T>,
): Promise<Result<Done<T>, Problem>> {
  const { authority, clock, passes } = context;
  const until = clock.monotonic() + MOST_TRYING_MS;
  for (;;) {
    const refusal = authority.refusal(false);
    if (refusal !== null) return err(refusal);
    const { term } = authority;
    const decision = change.decide();
    if (!decision.ok) return decision;
    const decided = decision.value;
    const writing = change.writes(decided);
    if (term === null || writing === null) return ok({ decided, entry: null });
    const entry = entryOf(caller, change.kind, change.audit(decided), clock.wall());
    const written = await carryOut(writing, term, entry);
    if (written.ok) {
      await change.after?.(decided);
      return ok({ decided, entry });
    }
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
