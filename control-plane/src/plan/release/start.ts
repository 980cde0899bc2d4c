import { formatDuration } from '../../model/duration.js';
import type { Problem } from '../../model/problem.js';
import type { ReleaseRecord, ServiceReleases } from '../../model/release.js';
import { DEFAULT_GATES } from '../../model/release_gates.js';
import type { Amount, Strategy } from '../../model/release_strategy.js';
import type { ReleaseRequest, StrategyRequest } from '../../model/release_plane.js';
import { err, ok, type Result } from '../../model/result.js';
import { enter } from './record.js';
import { shareOf } from './shares.js';
import { strategyOf, strategyOfKind } from './strategy/of.js';
import type { Origin } from './strategy/strategy.js';

/** What a client asks for; `stable` null = found out, see `stableOf`. */
export type StartRequest = Omit<ReleaseRequest, 'plan_hash'>;

/** What is known of the service when a release is asked for. */
export interface StartState {
  readonly releases: ServiceReleases;
  /** The shares in the service's own record. */
  readonly intent_shares: Readonly<Record<string, number>>;
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

export const DEFAULT_DEADLINE_MS = 300_000;
export const DEFAULT_START_DEADLINE_MS = 1_800_000;
/** What is tried where a client asks for nothing else. */
const DEFAULT_STRATEGY: StrategyRequest = { kind: 'weighted', steps: null };
/** As a Deployment of Kubernetes: of what is there three quarters stay (maxUnavailable 25 %, rounded down). */
export const DEFAULT_MIN_READY: Amount = { percent: 75 };

/** Checks a request; a failure says why it may not begin. */
export function startRelease(request: StartRequest, state: StartState): Result<Start, Problem> {
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
  const strategy = strategyFor(request, state);
  if (!strategy.ok) return strategy;
  const origin: Origin = {
    running,
    handed: running ? strategyOf(running).handsOver(running) : [],
    stable,
    target: request.target,
    intent_shares: state.intent_shares,
    ready: state.ready,
  };
  const refusal =
    refuseTarget(request, strategy.value, stable) ??
    refuseDelay(request, strategy.value) ??
    strategyOfKind(strategy.value.kind).refuse(origin);
  if (refusal) return err(refusal);
  const record = newRecord(request, state, origin, strategy.value);
  if (!running) return ok({ record, superseded: null });
  const message = `superseded by ${record.id} to ${record.target}`;
  const end = { state: 'superseded', event: 'superseded', message, by: state.by } as const;
  return ok({ record, superseded: enter(running, end, state.now) });
}

/** The version that is stable already is asked for by nobody but who finishes with what an earlier release left. */
function refuseTarget({ service, target }: StartRequest, strategy: Strategy, stable: string): Problem | null {
  const finishes = strategyOfKind(strategy.kind).finishes(strategy);
  if ((stable === target) === finishes) return null;
  const field = 'body.target';
  if (!finishes) {
    const finish = `To bring the instances of other versions to it: ebbgate release start ${service} ${target} --in-place --stragglers only`;
    return {
      code: 'conflict',
      field,
      detail: `${target} is the stable version of ${service} already. ${finish}`,
    };
  }
  const detail = `Stragglers are brought to the stable version of ${service}, which is ${stable}: name that one as the target`;
  return { code: 'conflict', field, detail };
}

/** A window must begin before its soak is over. */
function refuseDelay({ gates }: StartRequest, strategy: Strategy): Problem | null {
  const delay = gates.delay_ms ?? 0;
  const soaks = strategyOfKind(strategy.kind).soaks(strategy);
  const shortest = Math.min(...soaks.filter((ms) => ms > 0));
  if (delay === 0 || delay < shortest) return null;
  const detail = `gates.delay must be shorter than the shortest soak, which is ${formatDuration(shortest)}`;
  return { code: 'invalid_request', field: 'body.gates.delay', detail };
}

/**
 * The version to go back to. Of a running release its own; else the one that was named, the one that has all of the shares, the
 * only other one that is ready, or the target of the last release that succeeded; in this order.
 */
function stableOf(request: StartRequest, state: StartState, running: ReleaseRecord | null): string | null {
  if (running) return running.stable;
  if (request.stable !== null) return request.stable;
  const alone = Object.keys(state.intent_shares).find(
    (version) => shareOf(state.intent_shares, version) === 100,
  );
  if (alone !== undefined) return alone;
  const others = Object.keys(state.ready).filter((version) => version !== request.target);
  if (others.length === 1) return others[0] ?? null;
  return state.releases.history.findLast((one) => one.state === 'succeeded')?.target ?? null;
}

/** The version before the present one, for `undo`; null if no release that succeeded is remembered. */
export function versionBefore(releases: ServiceReleases): string | null {
  return (
    releases.history.findLast((one) => one.state === 'succeeded' && one.stable !== one.target)?.stable ?? null
  );
}

function strategyFor(request: StartRequest, state: StartState): Result<Strategy, Problem> {
  const { strategy: asked, like } = request;
  if (like === null) {
    const given = asked ?? DEFAULT_STRATEGY;
    return ok(strategyOfKind(given.kind).create(given, state.drain_timeout_ms));
  }
  const { current, history } = state.releases;
  const found = [...history, ...(current ? [current.record] : [])].find(({ id }) => id === like);
  if (found) return ok(strategyOf(found).again(found.strategy, asked));
  const detail = `no release ${like} of ${request.service} is remembered`;
  return err({ code: 'not_found', field: 'body.like', detail });
}

function newRecord(request: StartRequest, state: StartState, origin: Origin, asked: Strategy): ReleaseRecord {
  const { stable } = origin;
  const { strategy, base } = strategyOfKind(asked.kind).originate(asked, origin);
  // Who finishes with stragglers changes nothing for those that serve.
  const finishes = stable === request.target;
  const { service, target } = request;
  const at = new Date(state.now).toISOString();
  const message = finishes
    ? `release of ${service}: stragglers to ${target}`
    : `release of ${service} from ${stable} to ${target}`;
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
    gates: { ...DEFAULT_GATES, ...request.gates },
    deadline_ms: request.deadline_ms ?? DEFAULT_DEADLINE_MS,
    start_deadline_ms: request.start_deadline_ms ?? DEFAULT_START_DEADLINE_MS,
    min_ready: request.min_ready ?? DEFAULT_MIN_READY,
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
    turned: null,
    message,
    base,
    shares: base,
    observed_ms: 0,
    stalled_ms: 0,
    window: null,
    failures: 0,
    checked_ms: 0,
    extended_ms: 0,
    read: null,
    inquiry: null,
    times: { active_ms: 0, paused_ms: 0, converging_ms: 0, draining_ms: 0, upgrading_ms: 0 },
    looked_at: state.now,
    looked_by: '',
    ended_at: null,
    verbs: [],
    events: [{ n: 1, at, event: 'started', by: state.by, message: why }],
  };
}
