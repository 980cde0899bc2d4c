import { formatDuration } from '../../model/duration.js';
import type { Paused, ReleaseEnding, ReleaseRecord, Shares, WeightedStep } from '../../model/release.js';
import { carry, closeBatch, inPlaceOf } from './batch.js';
import { enter } from './record.js';
import { shiftShares, spellShares } from './shares.js';

/*
 * The beginnings: of a step, of the end, of the way back. Each is one move.
 */

/** The steps of its plan; a release in place has batches instead. */
export function stepsOf(record: ReleaseRecord): readonly WeightedStep[] {
  return record.strategy.kind === 'weighted' ? record.strategy.steps : [];
}

/** The shares that hold once step `index` has begun. */
export function sharesAt(record: ReleaseRecord, index: number): Shares {
  const step = stepsOf(record)[index];
  if (step && 'weight' in step) return shiftShares(record.base, record.stable, record.target, step.weight);
  return index >= stepsOf(record).length ? { [record.target]: 100 } : record.shares;
}

/** The step that gives the target everything; pauses may follow it. */
export function lastWeight(record: ReleaseRecord): number {
  return stepsOf(record).findLastIndex((step) => 'weight' in step);
}

/** Where a release goes that leaves its pauses out: to its last weight, or from there to its end. */
export function fullStep(record: ReleaseRecord): number {
  const last = lastWeight(record);
  return record.step < last ? last : stepsOf(record).length;
}

/** Begins step `index`, or finalizes when there is no such step. */
export function beginStep(
  record: ReleaseRecord,
  index: number,
  now: number,
  by = 'controller',
  attempt = 1,
): ReleaseRecord {
  const step = stepsOf(record)[index];
  const shares = sharesAt(record, index);
  const to = { step: index, attempt, shares, by };
  if (!step) {
    const message = `every step is done; writing down that ${record.target} is the version to serve`;
    return enter(record, { ...to, state: 'finalizing', event: 'finalizing', message }, now);
  }
  const message = `step ${spellStep(record, index)}`;
  if ('weight' in step) {
    const says = `${message}: ${spellShares(shares)}`;
    return enter(
      record,
      { ...to, state: 'progressing', phase: 'applying', event: 'step_begun', message: says },
      now,
    );
  }
  if (step.pause.for_ms !== undefined)
    return enter(
      record,
      { ...to, state: 'progressing', phase: 'soaking', event: 'step_begun', message },
      now,
    );
  const paused: Paused = { cause: 'step', by, message, state: 'progressing', phase: 'soaking' };
  return enter(record, { ...to, state: 'paused', paused, event: 'paused', message }, now);
}

/** `2/5 {weight: 25}` */
export function spellStep(record: ReleaseRecord, index: number): string {
  const steps = stepsOf(record);
  const step = steps[index];
  const place = `${String(index + 1)}/${String(steps.length)}`;
  if (!step) return place;
  if ('weight' in step) return `${place} {weight: ${String(step.weight)}}`;
  const { for_ms } = step.pause;
  return `${place} {pause: ${for_ms === undefined ? '{}' : formatDuration(for_ms)}}`;
}

/** Turns round. By steps the stable version has everything back by that; in place it is brought back batch by batch. */
export function goBack(
  record: ReleaseRecord,
  ending: ReleaseEnding,
  message: string,
  now: number,
  by = 'controller',
): ReleaseRecord {
  const at = record.paused?.state ?? record.state;
  const turned = { step: record.step, begun: at !== 'pending' && at !== 'preparing' };
  const to = { state: 'rolling_back', ending, turned, event: 'rolling_back', message, by } as const;
  const inPlace = inPlaceOf(record);
  if (!inPlace) return enter(record, { ...to, shares: { [record.stable]: 100 } }, now);
  const { progress } = inPlace;
  // Stragglers that do not make it say little of the version that serves: nothing is taken back.
  const batch = record.stable === record.target ? [] : carry(progress, 'asked');
  const carried = new Set(batch.map(({ id }) => id));
  const left_out = closeBatch(record).left_out.filter(({ id }) => !carried.has(id));
  return enter(record, { ...to, in_place: { ...progress, batch, called: null, left_out } }, now);
}
