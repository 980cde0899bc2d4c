import { hasEnded, type ReleaseRecord } from '../../model/release.js';
import type { ReleasePlanResource, ReleaseResource } from '../../model/release_resources.js';
import { ackOf, gatewaysThatCount } from '../proof.js';
import { sharesByVersion } from '../traffic.js';
import { publishedAt, type World } from '../world.js';
import { guardStep } from './begin.js';
import { neededReady } from './min_ready.js';
import { allReadings, spellRules } from './readings.js';
import { readyOf } from './facts.js';
import { shareOf } from './shares.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { backOf, batchesIn, describeInPlace, planInPlace } from './describe_in_place.js';
import { sharesAt, spellStep, stepsOf } from './steps.js';

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
    in_place: describeInPlace(world, record),
    state,
    phase,
    step,
    steps: record.in_place ? batchesIn(world, record) : stepsOf(record).length,
    direction: record.turned || record.ending ? 'back' : 'forward',
    turned: record.turned,
    back: backOf(world, record),
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

/** Stands for the moves of a release; not for what only counts. */
export function etagOf({ id, rev }: ReleaseRecord): string {
  return `${id}-${String(rev)}`;
}

/** What a release does step by step, and what would hold the next step up. */
export function describePlan(record: ReleaseRecord, facts: ReleaseFacts): ReleasePlanResource {
  const { service, stable, target } = record;
  const before = record.state === 'pending' || record.state === 'preparing';
  const next = before ? 0 : record.step + 1;
  const goesOn = !hasEnded(record.state) && record.state !== 'rolling_back' && record.state !== 'finalizing';
  const blockers = goesOn ? guardStep(record, next, facts) : [];
  if (record.in_place) return planInPlace(record, facts, blockers);
  return {
    service,
    stable,
    target,
    rollback_to: stable,
    steps: stepsOf(record).map((_step, index) => ({
      step: index,
      what: spellStep(record, index),
      shares: reached(record, index),
      instances: [],
      direction: 'forward' as const,
      ...readyAt(record, facts, index),
    })),
    upgrade: null,
    gates: spellRules(record),
    start_deadline_ms: record.start_deadline_ms,
    blockers,
  };
}

/** Who is ready while a step is under way that is not over, and what it asks for. Steps change no instances. */
function readyAt(
  record: ReleaseRecord,
  facts: ReleaseFacts,
  index: number,
): Pick<ReleasePlanResource['steps'][number], 'ready' | 'needs'> {
  const before = record.state === 'pending' || record.state === 'preparing';
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

/** How the weight of the set that stands in Redis is spread, in percent with one decimal. */
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
