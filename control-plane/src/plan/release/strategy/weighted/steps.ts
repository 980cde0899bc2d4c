import { formatDuration } from '../../../../model/duration.js';
import type { Paused, ReleaseRecord, Shares } from '../../../../model/release.js';
import type { WeightedStep, WeightedStrategy } from '../../../../model/release_strategy.js';
import { enter } from '../../record.js';
import { shiftShares, spellShares } from '../../shares.js';

/** The strategy of a weighted release; throws for another one, which is a mistake of the caller. */
export function weightedIn({ id, strategy }: ReleaseRecord): WeightedStrategy {
  if (strategy.kind === 'weighted') return strategy;
  throw new Error(`release ${id} is not weighted`);
}

/** The steps of its plan. */
export function stepsOf(record: ReleaseRecord): readonly WeightedStep[] {
  return weightedIn(record).steps;
}

/** The shares once step `index` has begun. */
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

/** How long a step soaks, in milliseconds. */
export function soakOf(step: WeightedStep | undefined): number {
  return step && 'pause' in step ? (step.pause.for_ms ?? 0) : 0;
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
  const begun = { ...to, state: 'progressing', event: 'step_begun' } as const;
  if ('weight' in step) {
    const says = `${message}: ${spellShares(shares)}`;
    return enter(record, { ...begun, phase: 'applying', message: says }, now);
  }
  if (step.pause.for_ms !== undefined) return enter(record, { ...begun, phase: 'soaking', message }, now);
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
