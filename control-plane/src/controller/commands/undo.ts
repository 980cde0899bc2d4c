import type { AuditRecord } from '../../model/audit.js';
import type { Mutation, MutationContext } from '../../model/mutation.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import { notUndoable } from '../../plan/decide_undo.js';
import type { CommandContext } from './context.js';

/** How far back the newest change of somebody is looked for, in records and at once. */
const MOST_LOOKED_AT = 5_000;
const AT_ONCE = 200;

type Needs = Pick<CommandContext, 'audit'>;

/**
 * The record that is to be undone: the one that is named, else the newest of the caller that is no undoing itself and that nobody
 * has undone. A request that comes again under its key means the record that it meant before.
 */
export async function resolveUndo(
  context: Needs,
  { record: n }: Extract<Mutation, { kind: 'undo' }>,
  caller: MutationContext,
): Promise<Result<AuditRecord, Problem>> {
  const number = n === null ? await newestOf(context, caller) : ok(n);
  if (!number.ok) return number;
  const read = await context.audit.record(number.value);
  if (!read.ok) return err(unreadable(read.error));
  const record = read.value;
  if (record === null) return err(absent(number.value));
  const { kind } = record.undo;
  return kind === 'services' || kind === 'freeze_all' ? ok(record) : err(notUndoable(record));
}

/** The number of the newest change of the caller that is still to be undone. */
async function newestOf(
  { audit }: Needs,
  { by, idempotency_key: key }: MutationContext,
): Promise<Result<number, Problem>> {
  const undone = new Set<number>();
  const all = { service: null, actor: null, verb: null, since: null, limit: AT_ONCE };
  let before: number | null = null;
  for (let looked = 0; looked < MOST_LOOKED_AT; looked += AT_ONCE) {
    const page = await audit.page({ ...all, before });
    if (!page.ok) return err(unreadable(page.error));
    for (const record of page.value.items) {
      if (record.undoes !== null) {
        if (record.by === by && key !== null && record.idempotency_key === key) return ok(record.undoes);
        undone.add(record.undoes);
      } else if (record.by === by && !undone.has(record.n)) return ok(record.n);
    }
    before = page.value.next;
    if (before === null) break;
  }
  return err(nothing(by));
}

function nothing(by: string): Problem {
  const detail = `${by} has changed nothing lately that is not undone already. \`ebbgate audit\` lists the records; name one.`;
  return { code: 'not_found', detail };
}

function absent(n: number): Problem {
  return {
    code: 'not_found',
    detail: `There is no record ${String(n)}, or none any more. \`ebbgate audit\` lists them.`,
  };
}

function unreadable(reason: string): Problem {
  const detail = `The records cannot be read from ZooKeeper (${reason}). Nothing was changed. Try again.`;
  return { code: 'store_unavailable', detail };
}
