import type { ReleaseRecord } from '../../../../model/release.js';
import type { InstanceFacts, ReleaseFacts } from '../../../../model/release_facts.js';
import { isObeyed, readyOf } from '../../facts.js';
import { goalOf, inPlaceIn } from './batch.js';

/*
 * What the present batch waits for.
 */

/** Whether this moment is observed in the record's phase, and whether it is one of problems. */
export function watchBatch(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): { readonly observed: boolean; readonly stalled: boolean } {
  if (record.state !== 'progressing' && record.state !== 'rolling_back')
    return { observed: false, stalled: false };
  if (record.phase === 'warming') {
    // A gateway that is silent says nothing against an instance.
    const stalled = problemsIn(record, facts).size > 0;
    return { observed: isObeyed(facts) && !stalled, stalled };
  }
  if (record.phase === 'soaking') {
    const stalled = readyOf(facts, record.target) === 0;
    return { observed: isObeyed(facts) && !stalled, stalled };
  }
  return { observed: record.phase !== null && record.phase !== 'analysing', stalled: false };
}

/** What each instance of the present batch waits for; absent = nothing. */
export function waitsByInstance(
  record: ReleaseRecord,
  facts: Pick<ReleaseFacts, 'instances'>,
): ReadonlyMap<string, readonly string[]> {
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const problems = problemsIn(record, facts);
  const goal = goalOf(record);
  const waits = new Map<string, readonly string[]>();
  for (const { id, state } of progress.batch) {
    const fact = factOf(facts, id);
    if (state === 'draining' && fact && fact.presence !== 'gone' && !fact.drained)
      waits.set(id, fact.undrained);
    if (state === 'upgrading') {
      const who = 'person' in strategy.upgrade ? ', by a person' : '';
      waits.set(id, [`to be registered with ${goal} and ready${who}`]);
    }
    const own = problems.get(id);
    if (own !== undefined) waits.set(id, own);
  }
  return waits;
}

/** Instances that serve again and are not well, and in what way. */
export function problemsIn(
  record: ReleaseRecord,
  facts: Pick<ReleaseFacts, 'instances'>,
): ReadonlyMap<string, readonly string[]> {
  const goal = goalOf(record);
  const problems = new Map<string, readonly string[]>();
  for (const { id, state } of inPlaceIn(record).progress.batch) {
    if (state !== 'warming') continue;
    const fact = factOf(facts, id);
    if (fact?.presence !== 'present') problems.set(id, ['its registration is missing']);
    else if (fact.version !== goal) problems.set(id, [`it is registered with ${fact.version}`]);
    else if (!fact.ready) problems.set(id, ['it is not ready']);
    else if (fact.unhealthy.length > 0) problems.set(id, fact.unhealthy);
  }
  return problems;
}

export function spellWaits(record: ReleaseRecord, facts: ReleaseFacts): readonly string[] {
  return [...waitsByInstance(record, facts)].flatMap(([id, reasons]) =>
    reasons.map((reason) => `${id}: ${reason}`),
  );
}

const indexes = new WeakMap<readonly InstanceFacts[], ReadonlyMap<string, InstanceFacts>>();

export function factOf(
  { instances }: Pick<ReleaseFacts, 'instances'>,
  id: string,
): InstanceFacts | undefined {
  const index = indexes.get(instances) ?? new Map(instances.map((one) => [one.id, one]));
  indexes.set(instances, index);
  return index.get(id);
}
