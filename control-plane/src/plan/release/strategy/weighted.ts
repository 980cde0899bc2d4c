import type { ReleaseRecord } from '../../../model/release.js';
import type { Strategy } from '../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../model/release_facts.js';
import { guardShares, isObeyed, lateTarget, lostCapacity, needed, obedience, readiness } from '../facts.js';
import type { Outcome } from '../outcome.js';
import { enter, note, turnedAt } from '../record.js';
import { settleShares } from '../settle.js';
import { shareOf } from '../shares.js';
import {
  WITHOUT_INSTANCES,
  type Act,
  type GoOn,
  type Obedience,
  type PersonalAct,
  type ReleaseStrategy,
} from './strategy.js';
import { guardReady } from './weighted/min_ready.js';
import { baseOf, capacityOf, DEFAULT_STEPS, weightedBy } from './weighted/origin.js';
import { planSteps } from './weighted/plan.js';
import { beginStep, fullStep, lastWeight, sharesAt, soakOf, stepsOf } from './weighted/steps.js';

/** Shares move from the stable version to the target, step by step; instances of both serve side by side. */
export const weighted: ReleaseStrategy = {
  ...WITHOUT_INSTANCES,
  kind: 'weighted',

  create: (request) => weightedBy(request, DEFAULT_STEPS),
  // Where it goes is known: no soak has to find anything out.
  again: (_before, request) => weightedBy(request, [{ weight: 100 }]),
  soaks: (strategy) => (strategy.kind === 'weighted' ? strategy.steps.map(soakOf) : []),
  finishes: () => false,
  refuse: ({ running, handed }) => {
    if (!running || handed.length === 0) return null;
    const ids = handed.map(({ id }) => id).join(', ');
    return {
      code: 'conflict',
      detail: `Release ${running.id} has ${ids} drained for its upgrade. Wait for the end of its batch, or skip it.`,
    };
  },
  originate: (strategy, origin) => {
    const base = baseOf(origin);
    return { strategy: withCapacity(strategy, capacityOf(origin, base)), base };
  },
  guardStart: (record, facts, inForce) => {
    if (inForce) return [];
    const byWeights = Object.keys(facts.intent_shares).length === 0;
    return lostCapacity(facts, byWeights ? facts.ready : facts.intent_shares, record.base);
  },

  unsound: ({ strategy, shares }) =>
    strategy.kind === 'weighted' && Object.keys(shares).length === 0 ? 'by steps, without shares' : null,
  observe: (record, facts) => {
    const stalled = record.state === 'progressing' && needed(record, facts).length > 0;
    const soaking = record.state === 'progressing' && record.phase === 'soaking';
    return { observed: soaking && isObeyed(facts) && !stalled, stalled };
  },
  foresee: ({ strategy }) => strategy,
  awaits: (record, facts) => readiness(record.target, facts),
  begin: (record, facts, now) => beginGuarded(record, 0, facts, now),
  advance: (record, facts, now) => {
    const late = lateTarget(record);
    if (late !== null)
      return { moved: weighted.rollBack(record, 'failed', { by: 'controller', message: late, now }) };
    return advanceStep(record, facts, now);
  },
  soakMs: (record) => soakOf(stepsOf(record)[record.step]),
  next: (record, facts, now) => beginGuarded(record, record.step + 1, facts, now),
  complete: (record, facts, act) =>
    beginGuarded(noted(record, 'promoted', act), fullStep(record), facts, act.now),
  finish: (record, facts, now) => {
    const message = `${record.target} serves alone`;
    return settleShares(record, facts, record.target, { state: 'succeeded', message }, now);
  },
  rollBack: (record, ending, { by, message, now }) => {
    const to = { state: 'rolling_back', ending, turned: turnedAt(record), event: 'rolling_back' } as const;
    return enter(record, { ...to, message, by, shares: { [record.stable]: 100 } }, now);
  },
  goBack: (record, facts, now) => {
    const serves = record.turned?.begun === false ? 'has every share' : 'serves alone';
    const message = `${record.stable} ${serves}; ${record.message}`;
    const state = record.ending ?? 'rolled_back';
    return settleShares(record, facts, record.stable, { state, message }, now);
  },
  guardStep,

  retry: (record, { by, now }) => beginStep(record, record.step, now, by, record.attempt + 1),
  promote: (record, facts, how, act) => {
    const waitsByPlan =
      record.state === 'paused' || record.phase === 'soaking' || record.phase === 'analysing';
    return how.full || waitsByPlan ? goOn(record, 'promoted', facts, how, act) : 'unfit';
  },
  skip: (record, facts, how, act) => goOn(record, 'skipped', facts, how, act),

  describe: (_world, record) => ({ steps: stepsOf(record).length, back: null, in_place: null }),
  plan: planSteps,
};

function withCapacity(strategy: Strategy, capacity: number): Strategy {
  return strategy.kind === 'weighted' ? { ...strategy, progress: { capacity } } : strategy;
}

/** Begins a step if no guard speaks against it. */
function beginGuarded(record: ReleaseRecord, index: number, facts: ReleaseFacts, now: number): Outcome {
  const guards = guardStep(record, index, facts);
  return guards.length > 0 ? { waits: guards } : { moved: beginStep(record, index, now) };
}

function guardStep(record: ReleaseRecord, index: number, facts: ReleaseFacts): readonly string[] {
  const shares = sharesAt(record, index);
  return [...guardShares(record, facts, shares), ...guardReady(record, facts, shares)];
}

/** A weight step from its beginning to its end; a pause with a time is a soak. */
function advanceStep(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  switch (record.phase) {
    case 'applying':
      if (!facts.published) return { waits: obedience(facts) };
      return { moved: toPhase(record, 'converging', 'published; waiting for the gateways', now) };
    case 'converging':
      if (!isObeyed(facts)) return { waits: obedience(facts) };
      return { moved: toPhase(record, 'warming', 'every known gateway obeys', now) };
    case 'warming': {
      const waits = shareOf(record.shares, record.target) > 0 ? readiness(record.target, facts) : [];
      return waits.length > 0 ? { waits } : beginGuarded(record, record.step + 1, facts, now);
    }
    default:
      throw new Error(`a weighted release has no phase ${String(record.phase)}`);
  }
}

function toPhase(
  record: ReleaseRecord,
  phase: 'converging' | 'warming',
  message: string,
  now: number,
): ReleaseRecord {
  return enter(record, { state: 'progressing', phase, event: phase, message }, now);
}

function goOn(
  record: ReleaseRecord,
  event: 'promoted' | 'skipped',
  facts: ReleaseFacts,
  { full, force }: GoOn,
  { reason, ...act }: PersonalAct,
): Obedience {
  if (full && record.step === lastWeight(record)) return 'same';
  const index = full ? fullStep(record) : record.step + 1;
  const guards = guardStep(record, index, facts);
  if (guards.length > 0 && !force) return { guards };
  return { moved: beginStep(noted(record, event, { ...act, message: reason }), index, act.now, act.by) };
}

function noted(
  record: ReleaseRecord,
  event: 'promoted' | 'skipped',
  { by, message, now }: Act,
): ReleaseRecord {
  return note(record, { event, by, message }, now);
}
