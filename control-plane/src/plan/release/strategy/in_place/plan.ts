import { own, put } from '../../../../model/dictionary.js';
import { type ReleaseRecord, hasEnded } from '../../../../model/release.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import type { ReleasePlanResource } from '../../../../model/release_resources.js';
import { spellRules } from '../../readings.js';
import { hasBegun } from '../../record.js';
import { goalOf, inPlaceIn } from './batch.js';
import { estimateBatches } from './choose.js';
import { spellUpgrade } from './start.js';

type PlanStep = ReleasePlanResource['steps'][number];

/** The plan of a release in place: the batches that have begun, as far as they are remembered, and those that would follow. */
export function planBatches(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): Pick<ReleasePlanResource, 'steps' | 'upgrade' | 'gates'> {
  const { stable, target, turned } = record;
  const strategy = inPlaceIn(record);
  const { progress } = strategy;
  const over = hasEnded(record.state) || record.state === 'finalizing';
  const back = turned !== null;
  const before = !hasBegun(record);
  const waiting = before || (record.state === 'rolling_back' && record.phase === null);
  const carried = waiting && progress.batch.length > 0 ? [progress.batch.map(({ id }) => id)] : [];
  const idle = back && (!turned.begun || stable === target);
  const next = over ? [] : [...carried, ...(idle ? [] : estimateBatches(record, facts))];
  const first = before ? record.step : record.step + 1;
  const begun = progress.batches.map((one) => ({ ...one, ready: {} }));
  const simulated = simulate(record, facts, next).map(({ ids, ready }, index) => {
    const direction = back ? ('back' as const) : ('forward' as const);
    return { step: first + index, direction, count: ids.length, instances: ids, ready };
  });
  const all = [...begun, ...simulated];
  const forward = Math.max(
    progress.planned ?? 0,
    ...all.map((one) => (one.direction === 'forward' ? one.step + 1 : 0)),
  );
  const backward = Math.max(
    0,
    ...all.map((one) => (one.direction === 'back' ? one.step - (turned?.step ?? 0) : 0)),
  );
  return {
    steps: all.map(({ step, direction, count, instances, ready }) => {
      const more = count > instances.length ? ` and ${String(count - instances.length)} more` : '';
      const place =
        direction === 'forward'
          ? `${String(step + 1)}/${String(forward)}`
          : `back ${String(step - (turned?.step ?? 0))}/${String(backward)}`;
      const what = `${place} ${instances.join(', ')}${more}`;
      return { step, what, shares: {}, instances, direction, ready, needs: 0 };
    }),
    upgrade: spellUpgrade(strategy),
    gates: strategy.soak_ms > 0 ? spellRules(record) : spellRules({ ...record, gates: onlyFast(record) }),
  };
}

/** Without soaks there is only the fast gate. */
function onlyFast({ gates }: ReleaseRecord): ReleaseRecord['gates'] {
  return { ...gates, errors: null, latency: null, webhooks: [], prometheus: [] };
}

/** Who is ready while each of these batches is away, if all before came back with the version that they are brought to. */
function simulate(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  batches: readonly (readonly string[])[],
): readonly { readonly ids: readonly string[]; readonly ready: PlanStep['ready'] }[] {
  const goal = goalOf(record);
  const able = new Map(facts.instances.filter((one) => one.able).map(({ id, version }) => [id, version]));
  return batches.map((ids) => {
    for (const id of ids) able.delete(id);
    const ready: Record<string, number> = { [record.stable]: 0, [record.target]: 0 };
    for (const version of able.values()) put(ready, version, (own(ready, version) ?? 0) + 1);
    for (const id of ids) able.set(id, goal);
    return { ids, ready };
  });
}
