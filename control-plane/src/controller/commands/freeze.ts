import type { AuditRecord } from '../../model/audit.js';
import type { GlobalFreeze, StoredFreeze } from '../../model/freeze_ports.js';
import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource } from '../../model/mutation.js';
import { objectOf } from '../../model/mutation_object.js';
import { err, ok, type Result } from '../../model/result.js';
import { decideFreezeOfAll } from '../../plan/decide_freeze.js';
import { freezeText } from '../../plan/freeze.js';
import { undoOfFreeze } from '../../plan/undo.js';
import type { CommandContext } from './context.js';
import { perform } from './perform.js';
import { into } from './writing.js';

type FreezeMutation = Extract<Mutation, { kind: 'freeze_all' | 'unfreeze_all' | 'undo' }>;

const NAME = 'freeze';
/** No service is called like this, so the freeze has a queue of its own. */
const QUEUE = '@freeze';

/** Freezes everything, or ends that. */
export async function mutateFreeze(
  context: CommandContext,
  mutation: FreezeMutation,
  caller: MutationContext,
  undone?: AuditRecord,
): Promise<Result<MutationResource, Problem>> {
  const done = await perform(context, caller, {
    kind: mutation.kind,
    queue: QUEUE,
    decide: () => decideNow(context, mutation, caller, undone),
    writes: ({ before, after }) =>
      after === null ? null : into(context.freezes, [{ etag: before?.etag ?? null, record: after }]),
    audit: ({ before, after }) => ({
      object: undone === undefined ? objectOf(mutation) : `${undone.verb} of ${undone.object}`,
      ...{ services: [], changes: after ? changesOf(before, after) : [] },
      undo: undoOfFreeze(before?.record.freeze ?? null, after?.freeze ?? null),
      ...(undone === undefined ? {} : { undoes: undone.n }),
    }),
  });
  if (!done.ok) return done;
  const { before, after } = done.value;
  const { dry_run } = caller;
  const changes = after ? changesOf(before, after) : [];
  return ok({ ...NOTHING, dry_run, changes, published: !dry_run });
}

interface Decided {
  readonly before: StoredFreeze | null;
  /** Null = it is so already. */
  readonly after: GlobalFreeze | null;
}

function decideNow(
  context: CommandContext,
  mutation: FreezeMutation,
  caller: MutationContext,
  undone: AuditRecord | undefined,
): Result<Decided, Problem> {
  const before = context.inputs.storedFreeze;
  const damage = context.freezes.damaged().get(NAME);
  if (damage !== undefined) return err(damaged(damage));
  if (before === undefined) return err(NOT_READ);
  const { intents, membership, witnesses, wall, due } = context.world();
  const state = {
    ...{ intents, membership, witnesses, wall, newId: '', drain_timeout_ms: 0 },
    ...(due === undefined ? {} : { due }),
    ...(undone === undefined ? {} : { undo: undone }),
  };
  const after = decideFreezeOfAll(mutation, caller, before, state);
  return after.ok ? ok({ before, after: after.value }) : after;
}

const NOT_READ: Problem = {
  code: 'not_ready',
  detail: 'The freeze has not been read yet. Try again in a moment.',
};

function damaged(damage: string): Problem {
  const detail = `The freeze of everything cannot be read from ZooKeeper (${damage}). Mend or delete that znode first.`;
  return { code: 'conflict', detail };
}

const NOTHING = { guards: [], blockers: [], operation: null, etags: {} };

function changesOf(before: StoredFreeze | null, after: GlobalFreeze): MutationResource['changes'] {
  const [from, to] = [freezeText(before?.record.freeze), freezeText(after.freeze)];
  return [{ service: '*', instance: null, field: 'freeze', from, to }];
}
