import { dueOf } from './clock.js';
import type { Freeze } from '../model/freeze.js';
import { NOT_FROZEN, type GlobalFreeze, type StoredFreeze } from '../model/freeze_ports.js';
import type { Problem } from '../model/problem.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import { err, ok, type Result } from '../model/result.js';
import {
  changed,
  eventOf,
  recordOf,
  requestHash,
  unchanged,
  unknownService,
  type DecisionState,
  type Proposal,
} from './decision.js';
import { changedProblem, notUndoable } from './decide_undo.js';
import { freezeText, isFrozen } from './freeze.js';
import { spellAuthor } from './layers.js';
import { KEPT_HISTORY, revise } from './record.js';
import { digestOf, spellRecord } from './undo.js';

type ServiceFreeze = Extract<Mutation, { kind: 'freeze' | 'unfreeze' }>;
type GlobalVerb = Extract<Mutation, { kind: 'freeze_all' | 'unfreeze_all' | 'undo' }>;

/** The freeze of one service, in its own record. A service that nobody knows is refused: a typing error must not look done. */
export function decideFreeze(
  mutation: ServiceFreeze,
  context: MutationContext,
  state: DecisionState,
): Result<Proposal, Problem> {
  const { service } = mutation;
  const unknown = unknownService(state, service);
  if (unknown) return err(unknown);
  const refused = needsReason(mutation, context);
  if (refused) return err(refused);
  const record = recordOf(state, service);
  if (mutation.kind === 'unfreeze' && record.freeze === undefined) return ok(unchanged(service));
  const text = eventText(mutation.kind === 'freeze', context, record.freeze, state);
  const event = eventOf(state, mutation, context, text);
  const freeze = mutation.kind === 'freeze' ? freezeFrom(context, state.wall) : null;
  return ok(changed(service, revise(record, { freeze }, [event])));
}

/** The freeze of everything: the record to write, or null if it is so already. */
export function decideFreezeOfAll(
  mutation: GlobalVerb,
  context: MutationContext,
  stored: StoredFreeze | null,
  state: DecisionState,
): Result<GlobalFreeze | null, Problem> {
  const refused = needsReason(mutation, context);
  if (refused) return err(refused);
  const record = stored?.record ?? NOT_FROZEN;
  const { idempotency_key: key } = context;
  const known = key === null ? undefined : record.events.find((one) => one.idempotency_key === key);
  if (known && known.request !== requestHash(mutation, context))
    return err({
      code: 'idempotency_conflict',
      field: 'Idempotency-Key',
      detail: 'This Idempotency-Key was used for another request. Use a new key.',
    });
  const stale = context.if_match;
  if (stale !== null && stale !== '*' && stale !== (stored?.etag ?? '0'))
    return err({
      code: 'precondition_failed',
      field: 'If-Match',
      detail: 'The freeze has changed meanwhile.',
    });
  if (known) return ok(null);
  if (mutation.kind === 'undo') return undoFreeze(mutation, context, record, state);
  const freezes = mutation.kind === 'freeze_all';
  if (!freezes && record.freeze === null) return ok(null);
  const event = eventOf(state, mutation, context, eventText(freezes, context, record.freeze, state));
  return ok({
    v: 1,
    rev: record.rev + 1,
    freeze: freezes ? freezeFrom(context, state.wall) : null,
    events: [...record.events, event].slice(-KEPT_HISTORY),
  });
}

function undoFreeze(
  mutation: GlobalVerb,
  context: MutationContext,
  record: GlobalFreeze,
  state: DecisionState,
): Result<GlobalFreeze, Problem> {
  const { undo: undone } = state;
  if (undone?.undo.kind !== 'freeze_all') return err(notUndoable(undone));
  const { before, after } = undone.undo;
  if (digestOf(record.freeze) !== after)
    return err(changedProblem(undone, [`the freeze of everything (now ${freezeText(record.freeze)})`]));
  const message = `undid ${spellRecord(undone)}`;
  const event = eventOf(state, mutation, context, { event: 'undone', message });
  const freeze = isFrozen(before, dueOf(state)) ? before : null;
  return ok({ v: 1, rev: record.rev + 1, freeze, events: [...record.events, event].slice(-KEPT_HISTORY) });
}

function needsReason({ kind }: Mutation, { reason }: MutationContext): Problem | null {
  if (!kind.startsWith('freeze') || reason.trim() !== '') return null;
  const detail = 'A freeze needs a reason: whoever it stops must know why';
  return { code: 'invalid_request', field: 'reason', detail };
}

function freezeFrom({ by, reason, expires_ms }: MutationContext, wall: number): Freeze {
  const expires = expires_ms === null ? {} : { expires: new Date(wall + expires_ms).toISOString() };
  return { by, reason, at: new Date(wall).toISOString(), ...expires };
}

function eventText(
  freezes: boolean,
  { expires_ms }: MutationContext,
  before: Freeze | null | undefined,
  state: DecisionState,
) {
  const lasting = expires_ms === null ? '' : ', for a time';
  const was = isFrozen(before, dueOf(state)) ? `the freeze ${spellAuthor(before)}` : null;
  const effects = was === null ? [] : [`${freezes ? 'replaces' : 'takes back'} ${was}`];
  return freezes
    ? { event: 'frozen', message: `no release starts and no step begins${lasting}`, effects }
    : { event: 'unfrozen', message: 'releases may go on', effects };
}
