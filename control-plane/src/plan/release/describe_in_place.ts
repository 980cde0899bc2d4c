import { hasEnded, type ReleaseRecord } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type {
  BatchInstanceResource,
  InPlaceResource,
  ReleasePlanResource,
} from '../../model/release_resources.js';
import { proveDrained } from '../proof.js';
import { drainTarget, membersIn, type World } from '../world.js';
import { estimateBatches, inPlaceOf, spellAmount } from './batch.js';
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

/** How many batches it comes to: those that are done, and what the rest would be without guards. */
export function batchesIn(world: World, record: ReleaseRecord): number {
  const found = inPlaceOf(record);
  const over = hasEnded(record.state) || record.state === 'finalizing';
  if (!found || over) return record.step;
  const before = record.state === 'pending' || record.state === 'preparing';
  const begun =
    before || (record.state === 'rolling_back' && record.phase === null) ? record.step : record.step + 1;
  const instances = observeInstances(world, record.service, new Set());
  const carried = before && found.progress.batch.length > 0 ? 1 : 0;
  return begun + carried + estimateBatches(record, { instances }).length;
}

/** The plan of a release in place: what is under way, and the batches that would follow. */
export function planInPlace(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  blockers: readonly string[],
): ReleasePlanResource {
  const { service, stable, target, step } = record;
  const found = inPlaceOf(record);
  const before = record.state === 'pending' || record.state === 'preparing';
  const present = (found?.progress.batch ?? []).map(({ id }) => id);
  const rest = hasEnded(record.state) ? [] : estimateBatches(record, facts);
  const batches = present.length > 0 ? [present, ...rest] : rest;
  const first = before || present.length > 0 ? step : step + 1;
  return {
    service,
    stable,
    target,
    rollback_to: stable,
    steps: batches.map((instances, index) => ({
      step: first + index,
      what: `${String(first + index + 1)}/${String(first + batches.length)} ${instances.join(', ')}`,
      shares: {},
      instances,
    })),
    upgrade: found ? spellUpgrade(found.strategy) : null,
    blockers,
  };
}
