import { type ReleaseRecord, hasEnded } from '../../../../model/release.js';
import type { ReleaseFacts } from '../../../../model/release_facts.js';
import type {
  BatchInstanceResource,
  InPlaceResource,
  ReleaseResource,
} from '../../../../model/release_resources.js';
import { proveDrained } from '../../../proof.js';
import { drainTarget, membersIn, type World } from '../../../world.js';
import { spellAmount } from '../../amount.js';
import { observeInstances } from '../../instances.js';
import { hasBegun } from '../../record.js';
import { inPlaceIn } from './batch.js';
import { wantedCall } from './call.js';
import { estimateBatches } from './choose.js';
import { originOf } from './start.js';
import { waitsByInstance } from './waits.js';

/** A release in place for a person: how it goes about it, where it is, and how far its ways are. */
export function describeBatches(
  world: World,
  record: ReleaseRecord,
): Pick<ReleaseResource, 'steps' | 'back' | 'in_place'> {
  const steps = batchesIn(world, record);
  return { steps, back: backOf(world, record), in_place: inPlaceResource(world, record) };
}

function inPlaceResource(world: World, record: ReleaseRecord): InPlaceResource {
  const strategy = inPlaceIn(record);
  const { upgrade, progress } = strategy;
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
  const { batch } = inPlaceIn(record).progress;
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
  const ids = new Set(inPlaceIn(record).progress.batch.map(({ id }) => id));
  return { instances: observeInstances(world, record.service, ids) };
}

/** How many batches the way forward comes to: those that are done, and what the rest would be without guards. */
function batchesIn(world: World, record: ReleaseRecord): number {
  if (record.state === 'finalizing' || record.state === 'succeeded') return record.step;
  const { batch, planned } = inPlaceIn(record).progress;
  if (hasEnded(record.state) || record.state === 'rolling_back')
    return planned ?? (record.turned ? record.turned.step + 1 : record.step);
  const before = !hasBegun(record);
  const carried = before && batch.length > 0 ? 1 : 0;
  return record.step + (before ? carried : 1) + ahead(world, record);
}

/** How far the way back is; null on the way forward. */
function backOf(world: World, record: ReleaseRecord): ReleaseResource['back'] {
  const { turned } = record;
  if (!turned) return null;
  const begun = record.step - turned.step;
  if (hasEnded(record.state)) return { step: begun, steps: begun };
  const carried = record.phase === null && inPlaceIn(record).progress.batch.length > 0 ? 1 : 0;
  const nothing = !turned.begun || record.stable === record.target;
  return { step: Math.max(0, begun - 1), steps: begun + carried + (nothing ? 0 : ahead(world, record)) };
}

function ahead(world: World, record: ReleaseRecord): number {
  const instances = observeInstances(world, record.service, new Set());
  return estimateBatches(record, { instances }).length;
}
