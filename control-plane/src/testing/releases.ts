import { DEFAULT_GATES, type Counts, type ReleaseRecord, type WeightedStep } from '../model/release.js';
import type { ReleaseFacts } from '../model/release_facts.js';

/** When releases of tests begin: milliseconds of the wall clock. */
export const RELEASE_AT = Date.parse('2026-05-01T12:00:00Z');

/** A release of `shop` from v1 to v2 that has just been written: 10 %, ten seconds of soaking, everything. */
export function buildRelease(overrides: Partial<ReleaseRecord> = {}): ReleaseRecord {
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
    strategy: { kind: 'weighted', steps },
    in_place: null,
    gates: { ...DEFAULT_GATES, interval_ms: 5_000 },
    deadline_ms: 60_000,
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
    message: '',
    base: { v1: 100 },
    shares: { v1: 100 },
    observed_ms: 0,
    stalled_ms: 0,
    window: null,
    failures: 0,
    judged_ms: 0,
    times: { active_ms: 0, paused_ms: 0, converging_ms: 0, draining_ms: 0, upgrading_ms: 0 },
    looked_at: RELEASE_AT,
    looked_by: 'run-1',
    ended_at: null,
    verbs: [],
    events: [],
    ...overrides,
  };
}

/** Everything is as a release would wish: published, obeyed, two instances of each version ready. */
export function buildFacts(overrides: Partial<ReleaseFacts> = {}): ReleaseFacts {
  return {
    ready: { v1: 2, v2: 2 },
    published: true,
    behind: [],
    watcher: 'run-1',
    totals: null,
    recent: null,
    decided: {},
    min_available: 1,
    held: [],
    instances: [],
    call: null,
    slow_start_ms: 0,
    ...overrides,
  };
}

/** `requests`, of which `errors` failed, each of `mean` milliseconds. */
export function buildCounts(requests: number, errors = 0, mean = 10): Counts {
  return { requests, errors, ms: requests * mean };
}
