import { type ReleaseRecord, hasEnded } from '../../../../model/release.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import type { ReleasePlanResource } from '../../../../model/release_resources.js';
import { readyOf } from '../../facts.js';
import { neededReady } from './min_ready.js';
import { spellRules } from '../../readings.js';
import { hasBegun } from '../../record.js';
import { shareOf } from '../../shares.js';
import { sharesAt, spellStep, stepsOf } from './steps.js';

type PlanStep = ReleasePlanResource['steps'][number];

/** The steps of a weighted release with their shares, and its gates. */
export function planSteps(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): Pick<ReleasePlanResource, 'steps' | 'upgrade' | 'gates'> {
  const steps = stepsOf(record).map((_step, index) => ({
    step: index,
    what: spellStep(record, index),
    shares: reached(record, index),
    instances: [],
    direction: 'forward' as const,
    ...readyAt(record, facts, index),
  }));
  return { steps, upgrade: null, gates: spellRules(record) };
}

/** Who is ready while a step is under way that is not over, and what it asks for. Steps change no instances. */
function readyAt(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  index: number,
): Pick<PlanStep, 'ready' | 'needs'> {
  const before = !hasBegun(record);
  const over = hasEnded(record.state) || record.state === 'rolling_back' || (!before && index < record.step);
  if (over) return { ready: {}, needs: 0 };
  const { stable, target } = record;
  const ready = { ...facts.ready, [stable]: readyOf(facts, stable), [target]: readyOf(facts, target) };
  const step = stepsOf(record)[index];
  const gains = step !== undefined && 'weight' in step && (before || index > record.step);
  return { ready, needs: gains ? neededReady(record, shareOf(sharesAt(record, index), target)) : 0 };
}

/** The shares once step `index` has begun: those of the last weight until then. */
function reached(record: ReleaseRecord, index: number): Readonly<Record<string, number>> {
  for (let at = index; at >= 0; at -= 1) {
    const step = stepsOf(record)[at];
    if (step && 'weight' in step) return sharesAt(record, at);
  }
  return record.base;
}
