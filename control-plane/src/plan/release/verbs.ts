import { err, ok, type Result } from '../../model/result.js';
import type { Problem } from '../../model/problem.js';
import { type Paused, type ReleaseRecord, type Verb, hasEnded } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { pastPauses, pauseOver, uncoverPause } from './pauses.js';
import { enter, KEPT_VERBS } from './record.js';
import { strategyOf } from './strategy/of.js';

/** Who asks, and under which key. */
export interface VerbContext {
  readonly by: string;
  readonly reason: string;
  readonly idempotency_key: string | null;
  /** Guards do not refuse. */
  readonly force: boolean;
}

/** A verb that was obeyed; `changed` is false if it had its effect already. */
export interface Obeyed {
  readonly record: ReleaseRecord;
  readonly changed: boolean;
}

/**
 * What `verb` makes of a release. A call whose step is over, or whose effect is there, succeeds and changes nothing; so two
 * clients that ask for the same make one move. `now` is milliseconds of the wall clock.
 */
export function obey(
  record: ReleaseRecord,
  verb: Verb,
  context: VerbContext,
  facts: ReleaseFacts,
  now: number,
): Result<Obeyed, Problem> {
  const request = requestOf(verb, context);
  const known = record.verbs.find((one) => one.key === context.idempotency_key);
  if (known && known.request !== request) return err(keyTaken());
  if (known) return ok({ record, changed: false });
  const done = act(record, verb, context, facts, now);
  if (!done.ok || context.idempotency_key === null || hasEnded(record.state)) return done;
  // Also of a verb that had its effect already: its repeat must not act when that is over.
  const verbs = [...record.verbs, { key: context.idempotency_key, request }].slice(-KEPT_VERBS);
  return ok({ record: { ...done.value.record, verbs }, changed: done.value.changed });
}

export function keyTaken(): Problem {
  return {
    code: 'idempotency_conflict',
    field: 'Idempotency-Key',
    detail: 'This Idempotency-Key was used for another request. Use a new key.',
  };
}

function requestOf(verb: Verb, { reason, force }: VerbContext): string {
  return JSON.stringify([verb.verb, verb.expected_step, verb.full, reason, force]).slice(0, 1_000);
}

function act(
  record: ReleaseRecord,
  verb: Verb,
  context: VerbContext,
  facts: ReleaseFacts,
  now: number,
): Result<Obeyed, Problem> {
  const same = ok({ record, changed: false });
  const stepped = verb.verb === 'promote' || verb.verb === 'skip' || verb.verb === 'retry';
  if (stepped) {
    const behind = checkStep(record, verb);
    if (behind !== null) return behind === 'past' ? same : err(behind);
  }
  if (hasEnded(record.state)) return ended(record, verb) ? same : err(over(record, verb));
  const changed = (next: ReleaseRecord): Result<Obeyed, Problem> => ok({ record: next, changed: true });
  const { by, reason } = context;
  const past = pastPauses(record, context);
  const why = reason === '' ? '' : `: ${reason}`;
  const plain = `${verb.verb} by ${by}${why}`;
  const strategy = strategyOf(record);
  const act = { by, message: `${plain}${past}`, now };
  switch (verb.verb) {
    case 'abort':
    case 'rollback':
      if (record.state === 'rolling_back') return same;
      return changed(strategy.rollBack(record, verb.verb === 'abort' ? 'cancelled' : 'rolled_back', act));
    case 'pause':
      return pause(record, context, plain, now);
    case 'resume':
      return resume(record, context, plain, now);
    case 'retry':
      if (!inSteps(record)) return err(unfit(record, verb));
      if (facts.blocked_by.length > 0 && !context.force) return err(guarded(facts.blocked_by));
      return changed(strategy.retry(record, act));
    case 'promote':
    case 'skip': {
      const wayBack = verb.verb === 'skip' && strategy.stepsBack && isSteppingBack(record);
      if (!inSteps(record) && !wayBack) return err(unfit(record, verb));
      const how = { full: verb.full, force: context.force };
      const personal = { ...act, reason: `${reason}${past}`.replace(/^; /, '') };
      const done = strategy[verb.verb](record, facts, how, personal);
      if (done === 'same') return same;
      if (done === 'unfit') return err(unfit(record, verb));
      return 'guards' in done ? err(guarded(done.guards)) : changed(done.moved);
    }
  }
}

function isSteppingBack({ state, phase }: ReleaseRecord): boolean {
  return state === 'rolling_back' && phase !== null;
}

/** `past` if the release is beyond the step that was meant. */
function checkStep(record: ReleaseRecord, verb: Verb): 'past' | Problem | null {
  const { expected_step: expected } = verb;
  const field = 'expected_step';
  if (expected === null)
    return { code: 'invalid_request', field, detail: `${verb.verb} needs the step that you saw` };
  // The batches of a way back are numbered through, and skip alone is for them.
  const skipsBack = verb.verb === 'skip' && strategyOf(record).stepsBack;
  const goesBack = record.state === 'rolling_back' && !skipsBack;
  const goesOn = !hasEnded(record.state) && !goesBack;
  if (expected < record.step && (goesOn || record.state === 'succeeded')) return 'past';
  if (expected === record.step || !goesOn) return null;
  const spell = (step: number): string => `step ${String(step + 1)} (expected_step ${String(step)})`;
  const detail = `The release is at ${spell(record.step)}, not at ${spell(expected)} yet`;
  return { code: 'conflict', field, detail };
}

function ended(record: ReleaseRecord, { verb }: Verb): boolean {
  return (
    (verb === 'abort' && record.state === 'cancelled') ||
    (verb === 'rollback' && record.state === 'rolled_back')
  );
}

function over(record: ReleaseRecord, { verb }: Verb): Problem {
  const help = verb === 'rollback' || verb === 'abort' ? `. To go back: ebbgate undo ${record.service}` : '';
  return { code: 'conflict', detail: `Release ${record.id} has ended ${record.state}${help}` };
}

function unfit(record: ReleaseRecord, { verb }: Verb): Problem {
  const phase = record.phase === null ? '' : `, ${record.phase}`;
  const help =
    verb === 'promote' && record.state === 'progressing'
      ? '. It waits for facts, and skip would leave them out'
      : '';
  return {
    code: 'conflict',
    detail: `${verb} does not fit a release that is ${record.state}${phase}${help}`,
  };
}

function inSteps(record: ReleaseRecord): boolean {
  return (
    record.state === 'progressing' || (record.state === 'paused' && record.paused?.state === 'progressing')
  );
}

function pause(
  record: ReleaseRecord,
  context: VerbContext,
  message: string,
  now: number,
): Result<Obeyed, Problem> {
  if (record.state === 'paused') {
    const paused = pauseOver(record, context, message, now);
    return ok({ record: paused ?? record, changed: paused !== null });
  }
  if (record.state !== 'progressing' && record.state !== 'preparing')
    return err(unfit(record, { verb: 'pause', expected_step: null, full: false }));
  const { state, phase } = record;
  const paused: Paused = { cause: 'person', by: context.by, message, state, phase };
  const move = {
    state: 'paused',
    paused,
    event: 'paused',
    message,
    by: context.by,
    keeps_window: true,
  } as const;
  // What is counted during the pause is in no window: counting goes on from where the counters are once somebody looks again.
  const window = record.window && { ...record.window, watcher: '' };
  return ok({ record: enter({ ...record, window }, move, now), changed: true });
}

function resume(
  record: ReleaseRecord,
  context: VerbContext,
  message: string,
  now: number,
): Result<Obeyed, Problem> {
  const { paused } = record;
  if (record.state !== 'paused' || !paused) return ok({ record, changed: false });
  if (paused.cause === 'step')
    return err({
      code: 'conflict',
      detail: 'This step waits for a person by its plan: promote it, so that it is plain which step you mean',
    });
  if (paused.over) return ok({ record: uncoverPause(record, context, message, now), changed: true });
  const { state, phase } = paused;
  const own = paused.cause !== 'person' || paused.by === context.by;
  const says = own ? message : `${message}; takes back: ${paused.message}`;
  // What was counted before a gate's doubt gets a verdict again, with what comes; a person's pause begins no new window either.
  const to = { state, ...(phase === null ? {} : { phase }), keeps_window: paused.cause === 'person' };
  const next = enter(record, { ...to, event: 'resumed', message: says, by: context.by }, now);
  return ok({ record: next, changed: true });
}

/** A refusal that names the guards. */
export function guarded(guards: readonly string[]): Problem {
  return { code: 'guard_refused', detail: guards.join('; '), blockers: guards };
}
