import { bucketOf, LATENCY_BUCKETS } from '../model/latency.js';
import type { ReleaseRecord } from '../model/release.js';
import { type Counts, DEFAULT_GATES } from '../model/release_gates.js';
import type {
  BatchInstance,
  InPlaceProgress,
  InPlaceStrategy,
  WeightedStep,
  WeightedStrategy,
} from '../model/release_strategy.js';
import type { InstanceFacts, ReleaseFacts } from '../model/release_facts.js';

/** When releases of tests begin: milliseconds of the wall clock. */
export const RELEASE_AT = Date.parse('2026-05-01T12:00:00Z');

/** A release of `shop` from v1 to v2 that has just been written: 10 %, ten seconds of soaking, everything. */
export function buildRelease(fields: Partial<ReleaseRecord> = {}): ReleaseRecord {
  const at = new Date(RELEASE_AT).toISOString();
  const steps: readonly WeightedStep[] = [{ weight: 10 }, { pause: { for_ms: 10_000 } }, { weight: 100 }];
  return {
    v: 1,
    rev: 1,
    id: 'rel-1',
    service: 'shop',
    n: 1,
    stable: 'v1',
    target: 'v2',
    strategy: buildWeighted(steps),
    gates: { ...DEFAULT_GATES, interval_ms: 5_000 },
    deadline_ms: 60_000,
    start_deadline_ms: 1_800_000,
    min_ready: { count: 1 },
    by: 'ann',
    reason: '',
    at,
    state: 'pending',
    since: at,
    phase: null,
    step: 0,
    attempt: 1,
    paused: null,
    ending: null,
    turned: null,
    message: '',
    base: { v1: 100 },
    shares: { v1: 100 },
    observed_ms: 0,
    stalled_ms: 0,
    window: null,
    failures: 0,
    checked_ms: 0,
    extended_ms: 0,
    read: null,
    inquiry: null,
    times: { active_ms: 0, paused_ms: 0, converging_ms: 0, draining_ms: 0, upgrading_ms: 0 },
    looked_at: RELEASE_AT,
    looked_by: 'run-1',
    ended_at: null,
    verbs: [],
    events: [],
    ...fields,
  };
}

/** A strategy by steps, of a release that two instances served when it began. */
export function buildWeighted(steps: readonly WeightedStep[], capacity: number | null = 2): WeightedStrategy {
  return { kind: 'weighted', steps, progress: { capacity } };
}

/** Everything is as a release needs it: published, obeyed, two instances of each version ready. */
export function buildFacts(fields: Partial<ReleaseFacts> = {}): ReleaseFacts {
  return {
    ready: { v1: 2, v2: 2 },
    unfit: [],
    published: true,
    behind: [],
    watcher: 'run-1',
    totals: null,
    recent: null,
    answers: {},
    intent_shares: {},
    min_available: 1,
    current: true,
    blocked_by: [],
    instances: [],
    call: null,
    slow_start_ms: 0,
    ...fields,
  };
}

/** `requests`, of which `errors` failed, each of `mean` milliseconds, all in the one bucket of that. */
export function buildCounts(requests: number, errors = 0, mean = 10): Counts {
  const buckets = Array<number>(LATENCY_BUCKETS).fill(0).with(bucketOf(mean), requests);
  return { requests, errors, ms: requests * mean, buckets };
}

/** What a test says about a release in place: members of its record, and how far it is. */
export type InPlaceParts = Partial<ReleaseRecord> & { readonly progress?: Partial<InPlaceProgress> };

/** A release in place of `shop` from v1 to v2, one instance at a time, by a webhook. */
export function buildInPlace(
  { progress = {}, ...fields }: InPlaceParts = {},
  settings: Partial<Omit<InPlaceStrategy, 'kind' | 'progress'>> = {},
): ReleaseRecord {
  const strategy: InPlaceStrategy = {
    kind: 'in_place',
    batch: { count: 1 },
    max_unavailable: { count: 1 },
    max_failed: 0,
    upgrade: { webhook: { url: 'http://127.0.0.1/upgrade', timeout_ms: 1_000 } },
    upgrade_timeout_ms: 60_000,
    drain_timeout_ms: 30_000,
    soak_ms: 0,
    stragglers: 'leave',
    ...settings,
    progress: {
      ...{ batch: [], called: null, left_out: [], full: false, planned: null, batches: [] },
      ...progress,
    },
  };
  return buildRelease({ strategy, base: {}, shares: {}, ...fields });
}

/** How far a release in place is; throws for another one. */
export function progressOf({ strategy }: ReleaseRecord): InPlaceProgress {
  if (strategy.kind === 'in_place') return strategy.progress;
  throw new Error(`the strategy is ${strategy.kind}`);
}

/** An instance that serves v1 and has no request. */
export function buildInstanceFacts(id: string, fields: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    id,
    host: '10.0.0.1',
    port: 8080,
    version: 'v1',
    presence: 'present',
    able: true,
    ready: true,
    leaving: false,
    out_of_use: null,
    drained: true,
    undrained: [],
    in_flight: 0,
    unhealthy: [],
    ...fields,
  };
}

/** An instance of a batch, as it was picked with v1. */
export function buildBatchInstance(
  id: string,
  state: BatchInstance['state'] = 'draining',
  fields: Partial<BatchInstance> = {},
): BatchInstance {
  const named = state === 'upgrading' || state === 'failed' || state === 'warming';
  const asked = named && state !== 'warming';
  return { id, host: '10.0.0.1', port: 8080, from: 'v1', asked, named, reason: '', state, ...fields };
}
