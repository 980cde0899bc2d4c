import type { Problem } from '../model/problem.js';
import type { ReleaseEvent, Verb } from '../model/release.js';
import type { ReleaseContext, ReleaseOutcome, ReleasePlane, ReleaseRequest } from '../model/release_plane.js';
import type { HashedPlan, ReleaseResource } from '../model/release_resources.js';
import { err, ok, type Result } from '../model/result.js';

const AT = '2026-05-01T12:00:00.000Z';

/** Of every plan here. */
export const PLAN_HASH = '0a1b2c-3d4e5f-6a7b8c-9d0e1f-2a3b4c';

/** A release of `shop` from v1 to v2 that soaks at its second of three steps. */
export function makeRelease(parts: Partial<ReleaseResource> = {}): ReleaseResource {
  return {
    id: 'rel-1',
    etag: 'rel-1-7',
    service: 'shop',
    n: 1,
    stable: 'v1',
    target: 'v2',
    strategy: 'weighted',
    in_place: null,
    state: 'progressing',
    phase: 'soaking',
    step: 1,
    steps: 3,
    direction: 'forward',
    turned: null,
    back: null,
    attempt: 1,
    message: 'step 2/3 {pause: 2m}',
    paused: null,
    waiting_for: ['90 s more of soaking'],
    since: AT,
    shares: { wanted: { v1: 95, v2: 5 }, published: { v1: 95, v2: 5 }, applied_on: 2, gateways: 2 },
    gates: [
      {
        gate: 'errors',
        verdict: 'pass',
        value: 0.5,
        limit: 1,
        message: '',
        target: 0.5,
        stable: 0.4,
        samples: { target: 200, stable: 3_800 },
      },
    ],
    gates_read_at: null,
    failures: 0,
    failure_limit: 0,
    by: 'ann',
    reason: 'new prices',
    at: AT,
    ended_at: null,
    times: { active_ms: 30_000, paused_ms: 0, converging_ms: 1_500, draining_ms: 0, upgrading_ms: 0 },
    problem: null,
    ...parts,
  };
}

/** Releases without a controller, for tests of what is in front of them. */
export class MemoryReleases implements ReleasePlane {
  readonly map = new Map<string, ReleaseResource>();
  readonly begun: { readonly request: ReleaseRequest; readonly context: ReleaseContext }[] = [];
  readonly moved: { readonly id: string; readonly verb: Verb; readonly context: ReleaseContext }[] = [];
  eventList: readonly ReleaseEvent[] = [
    { n: 1, at: AT, event: 'started', by: 'ann', message: 'release of shop' },
  ];
  /** The next calls answer this. */
  refusal: Problem | null = null;

  running(): readonly ReleaseResource[] {
    return [...this.map.values()].filter((one) => one.ended_at === null);
  }
  ofService(service: string): readonly ReleaseResource[] | undefined {
    const found = [...this.map.values()].filter((one) => one.service === service).reverse();
    return found.length === 0 ? undefined : found;
  }
  byId(id: string): ReleaseResource | undefined {
    return this.map.get(id);
  }
  plan(id: string): HashedPlan | undefined {
    const release = this.map.get(id);
    return release && planOf(release);
  }
  events(id: string): readonly ReleaseEvent[] | undefined {
    return this.map.has(id) ? this.eventList : undefined;
  }

  begin(request: ReleaseRequest, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    this.begun.push({ request, context });
    const release = makeRelease({
      service: request.service,
      target: request.target,
      state: 'pending',
      phase: null,
      step: 0,
    });
    if (!this.refusal && !context.dry_run) this.map.set(release.id, release);
    return Promise.resolve(this.#answer(release, context));
  }

  move(id: string, verb: Verb, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    this.moved.push({ id, verb, context });
    const release = this.map.get(id);
    if (!release) return Promise.resolve(err({ code: 'not_found', detail: `there is no release ${id}` }));
    return Promise.resolve(this.#answer(release, context));
  }

  #answer(release: ReleaseResource, context: ReleaseContext): Result<ReleaseOutcome, Problem> {
    if (this.refusal) return err(this.refusal);
    return ok({ dry_run: context.dry_run, changed: true, notes: [], release, plan: planOf(release) });
  }
}

function planOf({ service, stable, target }: ReleaseResource): HashedPlan {
  const steps = [
    { step: 0, what: '1/3 {weight: 5}', shares: { [stable]: 95, [target]: 5 }, needs: 1 },
    { step: 1, what: '2/3 {pause: 2m}', shares: { [stable]: 95, [target]: 5 }, needs: 0 },
    { step: 2, what: '3/3 {weight: 100}', shares: { [target]: 100 }, needs: 2 },
  ].map((one) => ({
    ...{ ...one, shares: one.shares, instances: [] },
    ...{ direction: 'forward' as const, ready: { [stable]: 2, [target]: 0 } },
  }));
  return {
    service,
    stable,
    target,
    rollback_to: stable,
    steps,
    upgrade: null,
    gates: ['fast: 20 % errors of 50 requests within ten seconds'],
    start_deadline_ms: 1_800_000,
    blockers: [],
    hash: PLAN_HASH,
  };
}
