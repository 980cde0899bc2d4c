import type { Problem } from '../../model/problem.js';
import {
  DEFAULT_GATES,
  type ReleaseRecord,
  type ServiceReleases,
  type Shares,
  type Strategy,
  type WeightedStep,
} from '../../model/release.js';
import { err, ok, type Result } from '../../model/result.js';
import type { ReleaseWish } from '../../model/release_plane.js';
import { inPlaceStrategy, refuseInPlace, refuseWeighted, takeOver } from './start_in_place.js';
import { enter } from './record.js';
import { shareOf, sharesByCount } from './shares.js';

/** What a client asks for; `stable` null = found out, see `stableOf`. */
export type ReleaseRequest = Omit<ReleaseWish, 'plan_hash'>;

/** What is known of the service when a release is asked for. */
export interface StartState {
  readonly releases: ServiceReleases;
  /** The shares in the service's own record. */
  readonly decided: Readonly<Record<string, number>>;
  /** Ready instances by version. */
  readonly ready: Readonly<Record<string, number>>;
  /** How long a drain may take where nobody says. */
  readonly drain_timeout_ms: number;
  readonly newId: string;
  readonly by: string;
  readonly reason: string;
  readonly now: number;
}

/** The release to write, and the running one as it ends by that. */
export interface Start {
  readonly record: ReleaseRecord;
  readonly superseded: ReleaseRecord | null;
}

/** What is tried where a client names no steps. */
export const DEFAULT_STEPS: readonly WeightedStep[] = [
  { weight: 5 },
  { pause: { for_ms: 120_000 } },
  { weight: 25 },
  { pause: { for_ms: 120_000 } },
  { weight: 50 },
  { pause: { for_ms: 120_000 } },
  { weight: 100 },
];
export const DEFAULT_DEADLINE_MS = 300_000;

/** Judges a request; a failure says what stands in the way. */
export function startRelease(request: ReleaseRequest, state: StartState): Result<Start, Problem> {
  const running = state.releases.current?.record ?? null;
  if (running && !request.supersede)
    return err({
      code: 'conflict',
      detail: `Release ${running.id} to ${running.target} is ${running.state}. Wait for its end, abort it, or start with supersede.`,
    });
  const stable = stableOf(request, state, running);
  if (stable === null)
    return err({
      code: 'invalid_request',
      field: 'body.stable',
      detail: `It is not plain which version of ${request.service} is the stable one: name it`,
    });
  if (stable === request.target)
    return err({
      code: 'conflict',
      field: 'body.target',
      detail: `${request.target} is the stable version of ${request.service} already`,
    });
  const strategy = strategyOf(request, state);
  if (!strategy.ok) return strategy;
  const refusal =
    strategy.value.kind === 'in_place' ? refuseInPlace(state, running, stable) : refuseWeighted(running);
  if (refusal) return err(refusal);
  const record = newRecord(request, state, stable, strategy.value);
  if (!running) return ok({ record, superseded: null });
  const message = `superseded by ${record.id} to ${record.target}`;
  const end = { state: 'superseded', event: 'superseded', message, by: state.by } as const;
  return ok({ record, superseded: enter(running, end, state.now) });
}

/**
 * The version to go back to. Of a running release its own; else the one that was named, the one that has all of the shares, the
 * only other one that is ready, or the target of the last release that succeeded; in this order.
 */
function stableOf(request: ReleaseRequest, state: StartState, running: ReleaseRecord | null): string | null {
  if (running) return running.stable;
  if (request.stable !== null) return request.stable;
  const alone = Object.keys(state.decided).find((version) => shareOf(state.decided, version) === 100);
  if (alone !== undefined) return alone;
  const others = Object.keys(state.ready).filter((version) => version !== request.target);
  if (others.length === 1) return others[0] ?? null;
  return state.releases.history.findLast((one) => one.state === 'succeeded')?.target ?? null;
}

/** The version before the present one, for `undo`; null if no release that succeeded is remembered. */
export function versionBefore(releases: ServiceReleases): string | null {
  return releases.history.findLast((one) => one.state === 'succeeded')?.stable ?? null;
}

function strategyOf(request: ReleaseRequest, state: StartState): Result<Strategy, Problem> {
  const { steps, in_place, like } = request;
  if (like !== null) {
    const all = [
      ...state.releases.history,
      ...(state.releases.current ? [state.releases.current.record] : []),
    ];
    const found = all.find(({ id }) => id === like);
    // Where it goes is known: nothing has to be found out by soaking.
    if (found?.strategy.kind === 'in_place') return ok({ ...found.strategy, soak_ms: 0 });
    if (found) return ok({ kind: 'weighted', steps: withEnd(steps ?? [{ weight: 100 }]) });
    const detail = `no release ${like} of ${request.service} is remembered`;
    return err({ code: 'not_found', field: 'body.like', detail });
  }
  if (in_place !== null) return ok(inPlaceStrategy(in_place, state.drain_timeout_ms));
  return ok({ kind: 'weighted', steps: withEnd(steps ?? DEFAULT_STEPS) });
}

/** What a weighted release moves from: what was in force, or by weights what the ready instances come to. */
function baseOf(state: StartState, stable: string): Shares {
  const running = state.releases.current?.record;
  if (!running) return { [stable]: 100 };
  return Object.keys(running.shares).length > 0 ? running.shares : sharesByCount(state.ready, stable);
}

function newRecord(
  request: ReleaseRequest,
  state: StartState,
  stable: string,
  strategy: Strategy,
): ReleaseRecord {
  const inPlace = strategy.kind === 'in_place';
  const base = inPlace ? {} : baseOf(state, stable);
  const { service, target } = request;
  const at = new Date(state.now).toISOString();
  const message = `release of ${service} from ${stable} to ${target}`;
  const why = state.reason === '' ? message : `${message} (${state.reason})`;
  const before = state.releases.current?.record ?? state.releases.history.at(-1);
  return {
    v: 1,
    rev: 1,
    id: state.newId,
    service,
    n: Math.max(before?.n ?? 0, state.releases.last_n ?? 0) + 1,
    stable,
    target,
    strategy,
    in_place: inPlace ? takeOver(state.releases.current?.record ?? null) : null,
    gates: { ...DEFAULT_GATES, ...request.gates },
    deadline_ms: request.deadline_ms ?? DEFAULT_DEADLINE_MS,
    by: state.by,
    reason: state.reason,
    at,
    state: 'pending',
    since: at,
    phase: null,
    step: 0,
    attempt: 1,
    paused: null,
    ending: null,
    message,
    base,
    shares: base,
    observed_ms: 0,
    stalled_ms: 0,
    window: null,
    failures: 0,
    judged_ms: 0,
    inquiry: null,
    times: { active_ms: 0, paused_ms: 0, converging_ms: 0, draining_ms: 0, upgrading_ms: 0 },
    looked_at: state.now,
    looked_by: '',
    ended_at: null,
    verbs: [],
    events: [{ n: 1, at, event: 'started', by: state.by, message: why }],
  };
}

/** The last weight is 100, so that a release that succeeds has moved everything. */
function withEnd(steps: readonly WeightedStep[]): readonly WeightedStep[] {
  const last = steps.findLast((step) => 'weight' in step);
  return last && 'weight' in last && last.weight === 100 ? steps : [...steps, { weight: 100 }];
}
