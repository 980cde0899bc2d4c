import { type ReleaseRecord, hasEnded } from '../../../../model/release.js';
import type {
  BatchInstance,
  BatchSummary,
  Direction,
  InPlaceProgress,
  InPlaceStrategy,
  LeftOut,
} from '../../../../model/release_strategy.js';

/*
 * The present batch of a release in place, and what becomes of it.
 */

/** The strategy of a release in place; throws for another one, which is a mistake of the caller. */
export function inPlaceIn({ id, strategy }: Pick<ReleaseRecord, 'id' | 'strategy'>): InPlaceStrategy {
  if (strategy.kind === 'in_place') return strategy;
  throw new Error(`release ${id} is not in place`);
}

/** Its strategy with changes to how far it is. */
export function withProgress(
  record: Pick<ReleaseRecord, 'id' | 'strategy'>,
  changes: Partial<InPlaceProgress>,
): InPlaceStrategy {
  const strategy = inPlaceIn(record);
  return { ...strategy, progress: { ...strategy.progress, ...changes } };
}

/** The version that instances are brought to now. */
export function goalOf(record: ReleaseRecord): string {
  return record.state === 'rolling_back' ? record.stable : record.target;
}

/** The instances that the release drains, as its record says. */
export function drainedBy(record: ReleaseRecord): readonly string[] {
  if (hasEnded(record.state)) return [];
  return inPlaceIn(record)
    .progress.batch.filter(isDrained)
    .map(({ id }) => id);
}

/**
 * True while the release gives it no requests: also one that failed or was left out after it had been handed over, until its
 * batch is over. One that failed after it had been proven is left to the gateways' health.
 */
export function isDrained({ state, asked }: BatchInstance): boolean {
  if (state === 'failed' || state === 'left_out') return asked;
  return state === 'draining' || state === 'upgrading';
}

/** How many batches a record remembers, and how many instances of each by name. */
const KEPT_BATCHES = 100;
const NAMED = 20;

/** The batches with the one that begins. */
export function withSummary(
  { batches }: InPlaceProgress,
  step: number,
  direction: Direction,
  ids: readonly string[],
): readonly BatchSummary[] {
  const summary = { step, direction, count: ids.length, instances: ids.slice(0, NAMED) };
  return [...batches, summary].slice(-KEPT_BATCHES);
}

/** `batch 2`, or on the way back `batch 1 of the way back`. */
export function spellBatch({ state, turned }: ReleaseRecord, step: number): string {
  if (state !== 'rolling_back' || turned === null) return `batch ${String(step + 1)}`;
  return `batch ${String(step - turned.step)} of the way back`;
}

/** The record's progress once the present batch is over: who did not make it is left out. */
export function closeBatch(record: ReleaseRecord): InPlaceProgress {
  const { progress } = inPlaceIn(record);
  const to = goalOf(record);
  const left = progress.batch.filter(({ state }) => state === 'failed' || state === 'left_out');
  const added = left.map(({ state: _state, named: _named, ...one }): LeftOut => ({ ...one, to }));
  return { ...progress, batch: [], called: null, left_out: addLeftOut(progress.left_out, added) };
}

/** The newest word on an instance is the one that counts. */
export function addLeftOut(before: readonly LeftOut[], added: readonly LeftOut[]): readonly LeftOut[] {
  const ids = new Set(added.map(({ id }) => id));
  return [...before.filter(({ id }) => !ids.has(id)), ...added];
}

/**
 * What the way back, or the release that takes over, finds under way: whoever was handed to an upgrade and is not proven stays
 * drained and comes first. One that was only drained is given back, unless `keep` says that it is taken over as well.
 */
export function carry(progress: InPlaceProgress, keep: 'asked' | 'drained'): readonly BatchInstance[] {
  return progress.batch
    .filter((one) => isDrained(one) && (one.asked || keep === 'drained'))
    .map((one) => ({ ...one, state: 'draining', named: false, reason: '' }));
}

/** The record once its present batch is over. */
export function withoutBatch(record: ReleaseRecord): ReleaseRecord {
  return { ...record, strategy: withProgress(record, closeBatch(record)) };
}
