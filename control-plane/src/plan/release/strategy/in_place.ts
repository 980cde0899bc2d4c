import type { ReleaseRecord } from '../../../model/release.js';
import type { InPlaceStrategy, Strategy } from '../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../model/release_facts.js';
import type { Outcome } from '../outcome.js';
import { hasBegun, note } from '../record.js';

import { carry, drainedBy, inPlaceIn, spellBatch, withProgress } from './in_place/batch.js';
import { wantedCall } from './in_place/call.js';
import { chooseBatch, estimateBatches } from './in_place/choose.js';
import { describeBatches } from './in_place/describe.js';
import { firstBatch, nextBatch, settleBatches } from './in_place/next.js';
import { advanceBatch, giveBack } from './in_place/phases.js';
import { planBatches } from './in_place/plan.js';
import { bar, rollBack } from './in_place/roll_back.js';
import {
  guardWeights,
  hooksOf,
  inPlaceAgain,
  inPlaceBy,
  inPlaceFrom,
  refuseInPlace,
} from './in_place/start.js';
import { promoteBatch, retryBatch, skipBatch } from './in_place/verbs.js';
import { watchBatch } from './in_place/waits.js';
import type { ReleaseStrategy } from './strategy.js';

/**
 * The instances become the target, batch by batch, under the same identity: drained, upgraded, registered again, warm. Its steps are its
 * batches, on the way back too. Time is counted in `observed_ms` (and in `stalled_ms` while a warm instance is not well), never read
 * from the clock.
 */
export const inPlace: ReleaseStrategy = {
  kind: 'in_place',

  create: (request, drainTimeoutMs) => {
    if (request.kind !== 'in_place') throw new Error(`a request of the strategy ${request.kind}`);
    return inPlaceBy(request, drainTimeoutMs);
  },
  again: (before) => inPlaceAgain(own(before)),
  soaks: (strategy) => [own(strategy).soak_ms],
  finishes: (strategy) => own(strategy).stragglers === 'only',
  refuse: refuseInPlace,
  originate: (strategy, origin) => inPlaceFrom(own(strategy), origin),
  guardStart: (record, facts, inForce) => guardWeights(record, inForce ?? facts.intent_shares, facts.ready),

  unsound: () => null,
  watched: (record) => new Set(inPlaceIn(record).progress.batch.map(({ id }) => id)),
  observe: watchBatch,
  foresee: (record, facts) => {
    if (hasBegun(record)) return record.strategy;
    const carried = inPlaceIn(record).progress.batch.length > 0 ? 1 : 0;
    return withProgress(record, { planned: carried + estimateBatches(record, facts).length });
  },
  giveBack,
  // A batch that was taken over is not chosen any more, so what blocks steps is asked for here.
  awaits: (_record, facts) => facts.blocked_by,
  begin: firstBatch,
  advance: advanceBatch,
  soakMs: (record) => inPlaceIn(record).soak_ms,
  next: nextBatch,
  complete: (record, facts, { by, message, now }) => {
    const strategy = withProgress(record, { full: true });
    return nextBatch(note(record, { event: 'promoted', by, message }, now, { strategy }), facts, now);
  },
  finish: settleBatches,
  rollBack,
  goBack,
  guardStep: (record, _index, facts) => {
    const choice = chooseBatch(record, facts);
    return choice.kind === 'waits' ? choice.waits : [];
  },

  stepsBack: true,
  retry: retryBatch,
  promote: promoteBatch,
  // A skip ends a batch, and the next one waits for its guards by itself: it needs no force.
  skip: (record, facts, _how, act) => ({ moved: skipBatch(record, facts, act) }),

  traffic: (record) => ({ draining: drainedBy(record), batch: spellBatch(record, record.step) }),
  handsOver: (record) => carry(inPlaceIn(record).progress, 'drained'),
  call: wantedCall,
  hooks: (strategy) => hooksOf(own(strategy)),

  describe: describeBatches,
  plan: planBatches,
};

/** rolling_back: a bad version gets nothing as soon as others can serve; then batch by batch. */
function goBack(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome {
  return (
    bar(record, facts, now) ??
    (record.phase === null ? firstBatch(record, facts, now) : advanceBatch(record, facts, now))
  );
}

function own(strategy: Strategy): InPlaceStrategy {
  if (strategy.kind === 'in_place') return strategy;
  throw new Error(`a record of the strategy ${strategy.kind}`);
}
