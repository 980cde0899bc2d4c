import { own, put } from '../../model/dictionary.js';
import { hasEnded, type ReleaseRecord } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type {
  BatchInstanceResource,
  InPlaceResource,
  ReleasePlanResource,
  ReleaseResource,
} from '../../model/release_resources.js';
import { proveDrained } from '../proof.js';
import { drainTarget, membersIn, type World } from '../world.js';
import { estimateBatches, goalOf, inPlaceOf, needInPlace, spellAmount } from './batch.js';
import { spellRules } from './readings.js';
import { waitsByInstance } from './in_place.js';
import { observeInstances } from './instances.js';
import { wantedCall } from './call.js';
import { originOf, spellUpgrade } from './start_in_place.js';

/** How a release in place goes about it and where it is; null for a weighted one. */
export function describeInPlace(world: World, record: ReleaseRecord): InPlaceResource | null {
  const found = inPlaceOf(record);
  if (!found) return null;
  const { strategy, progress } = found;
  const { upgrade } = strategy;
  return {
    batch: spellAmount(strategy.batch),
    max_unavailable: spellAmount(strategy.max_unavailable),
    max_failed: strategy.max_failed,
    upgrade: 'webhook' in upgrade ? 'webhook' : 'command' in upgrade ? 'command' : 'person',
    through:
      'webhook' in upgrade ? originOf(upgrade.webhook.url) : 'command' in upgrade ? upgrade.command.name : '',
    upgrade_timeout_ms: strategy.upgrade_timeout_ms,
    drain_timeout_ms: strategy.drain_timeout_ms,
    soak_ms: strategy.soak_ms,
    stragglers: strategy.stragglers,
    instances: hasEnded(record.state) ? [] : instancesOf(world, record),
    call: progress.called?.outcome ?? (wantedCall(record) ? 'wanted' : 'none'),
    left_out: progress.left_out.map(({ id, reason }) => ({ id, reason })),
  };
}

function instancesOf(world: World, record: ReleaseRecord): readonly BatchInstanceResource[] {
  const { service } = record;
  const batch = inPlaceOf(record)?.progress.batch ?? [];
  const waits = waitsByInstance(record, batchFacts(world, record));
  return batch.map(({ id, state, from, reason }) => ({
    id,
    state,
    version: membersIn(world, service).get(id)?.registration.version ?? from,
    in_flight: proveDrained(service, id, drainTarget(world, service, id), world.witnesses).in_flight,
    reason,
    waiting_for: waits.get(id) ?? [],
  }));
}

/** What is known of the instances of the present batch, and nothing else. */
function batchFacts(world: World, record: ReleaseRecord): Pick<ReleaseFacts, 'instances'> {
  const ids = new Set(inPlaceOf(record)?.progress.batch.map(({ id }) => id));
  return { instances: observeInstances(world, record.service, ids) };
}

/** How many batches the way forward comes to: those that are done, and what the rest would be without guards. */
export function batchesIn(world: World, record: ReleaseRecord): number {
  const found = inPlaceOf(record);
  if (!found || record.state === 'finalizing' || record.state === 'succeeded') return record.step;
  const { planned } = found.progress;
  if (hasEnded(record.state) || record.state === 'rolling_back')
    return planned ?? (record.turned ? record.turned.step + 1 : record.step);
  const before = record.state === 'pending' || record.state === 'preparing';
  const carried = before && found.progress.batch.length > 0 ? 1 : 0;
  return record.step + (before ? carried : 1) + ahead(world, record);
}

/** How far the way back is; null for a release that does not go back by batches. */
export function backOf(world: World, record: ReleaseRecord): ReleaseResource['back'] {
  const found = inPlaceOf(record);
  const { turned } = record;
  if (!found || !turned) return null;
  const begun = record.step - turned.step;
  if (hasEnded(record.state)) return { step: begun, steps: begun };
  const carried = record.phase === null && found.progress.batch.length > 0 ? 1 : 0;
  const nothing = !turned.begun || record.stable === record.target;
  return { step: Math.max(0, begun - 1), steps: begun + carried + (nothing ? 0 : ahead(world, record)) };
}

function ahead(world: World, record: ReleaseRecord): number {
  const instances = observeInstances(world, record.service, new Set());
  return estimateBatches(record, { instances }).length;
}

type PlanStep = ReleasePlanResource['steps'][number];

/** The plan of a release in place: the batches that have begun, as far as they are remembered, and those that would follow. */
export function planInPlace(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  blockers: readonly string[],
): ReleasePlanResource {
  const { service, stable, target, turned } = record;
  const { progress, strategy } = needInPlace(record);
  const over = hasEnded(record.state) || record.state === 'finalizing';
  const back = turned !== null;
  const before = record.state === 'pending' || record.state === 'preparing';
  const waiting = before || (record.state === 'rolling_back' && record.phase === null);
  const taken = waiting && progress.batch.length > 0 ? [progress.batch.map(({ id }) => id)] : [];
  const idle = back && (!turned.begun || stable === target);
  const next = over ? [] : [...taken, ...(idle ? [] : estimateBatches(record, facts))];
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
    service,
    stable,
    target,
    rollback_to: stable,
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
    start_deadline_ms: record.start_deadline_ms,
    blockers,
  };
}

/** Without soaks nothing but the fast gate judges. */
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
