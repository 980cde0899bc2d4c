import { type ReleaseRecord, hasEnded } from '../../model/release.js';
import type { ReleasePlanResource, ReleaseResource } from '../../model/release_resources.js';
import { ackOf, gatewaysThatCount } from '../proof.js';
import { sharesByVersion } from '../traffic.js';
import { publishedAt, type World } from '../world.js';
import { allReadings } from './readings.js';
import { hasBegun } from './record.js';
import { strategyOf } from './strategy/of.js';
import type { ReleaseFacts } from '../../model/release_facts.js';

/** A release for a person. `waiting_for` is what came of the last look at its facts. */
export function describeRelease(
  world: World,
  record: ReleaseRecord,
  waiting_for: readonly string[],
  problem: string | null = null,
): ReleaseResource {
  const { id, service, n, stable, target, state, phase, step, attempt, message, since } = record;
  const ended = hasEnded(state);
  const live = record.window !== null || record.inquiry?.open === true;
  return {
    id,
    etag: etagOf(record),
    service,
    n,
    stable,
    target,
    strategy: record.strategy.kind,
    state,
    phase,
    step,
    ...strategyOf(record).describe(world, record),
    direction: record.turned || record.ending ? 'back' : 'forward',
    turned: record.turned,
    attempt,
    message,
    paused: record.paused && {
      cause: record.paused.cause,
      by: record.paused.by,
      message: record.paused.message,
      over: record.paused.over ?? [],
    },
    waiting_for: ended ? [] : waiting_for,
    since,
    shares: {
      wanted: record.shares,
      published: publishedShares(world, service),
      ...appliedOn(world, service),
    },
    gates: live ? allReadings(record) : (record.read?.gates ?? (ended ? [] : allReadings(record))),
    gates_read_at: live ? null : (record.read?.at ?? null),
    failures: record.failures,
    failure_limit: record.gates.failure_limit,
    by: record.by,
    reason: record.reason,
    at: record.at,
    ended_at: record.ended_at,
    times: record.times,
    problem,
  };
}

/** Represents the moves of a release; not for what only counts. */
export function etagOf({ id, rev }: ReleaseRecord): string {
  return `${id}-${String(rev)}`;
}

/** What a release does step by step, and what blocks the next step. */
export function describePlan(record: ReleaseRecord, facts: ReleaseFacts): ReleasePlanResource {
  const { service, stable, target } = record;
  const next = hasBegun(record) ? record.step + 1 : 0;
  const goesOn = !hasEnded(record.state) && record.state !== 'rolling_back' && record.state !== 'finalizing';
  const strategy = strategyOf(record);
  return {
    service,
    stable,
    target,
    rollback_to: stable,
    start_deadline_ms: record.start_deadline_ms,
    ...strategy.plan(record, facts),
    blockers: goesOn ? strategy.guardStep(record, next, facts) : [],
  };
}

/** How the weight of the published set is spread, in percent with one decimal. */
function publishedShares(world: World, service: string): Readonly<Record<string, number>> {
  const document = world.published.get(service)?.document;
  return document && 'peers' in document ? sharesByVersion(document.peers) : {};
}

function appliedOn(
  world: World,
  service: string,
): { readonly applied_on: number; readonly gateways: number } {
  const target = publishedAt(world, service);
  const ids = gatewaysThatCount(world.witnesses);
  const acked = target
    ? ids.filter((id) => ackOf(id, service, target, world.witnesses).state === 'acked')
    : [];
  return { applied_on: acked.length, gateways: ids.length };
}
