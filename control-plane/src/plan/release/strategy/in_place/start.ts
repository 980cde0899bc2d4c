import { formatDuration } from '../../../../model/duration.js';
import type { Problem } from '../../../../model/problem.js';
import type { ReleaseRecord, Shares } from '../../../../model/release.js';
import type { InPlaceProgress, InPlaceStrategy } from '../../../../model/release_strategy.js';
import type { InPlaceRequest } from '../../../../model/release_plane.js';
import { shareOf, sharesByCount } from '../../shares.js';
import type { HookUse, Origin } from '../strategy.js';

/*
 * How a release in place begins: its defaults, what speaks against it, and what it takes over.
 */

export const DEFAULT_UPGRADE_TIMEOUT_MS = 600_000;

const NOTHING_YET: InPlaceProgress = {
  ...{ batch: [], called: null, left_out: [], full: false, planned: null, batches: [] },
};

/** The request with its defaults. `drainTimeoutMs` is the controller's. */
export function inPlaceBy(request: InPlaceRequest, drainTimeoutMs: number): InPlaceStrategy {
  const batch = request.batch ?? { count: 1 };
  return {
    kind: 'in_place',
    batch,
    max_unavailable: request.max_unavailable ?? batch,
    max_failed: request.max_failed ?? 0,
    upgrade: request.upgrade,
    upgrade_timeout_ms: request.upgrade_timeout_ms ?? DEFAULT_UPGRADE_TIMEOUT_MS,
    drain_timeout_ms: request.drain_timeout_ms ?? drainTimeoutMs,
    soak_ms: request.soak_ms ?? 0,
    stragglers: request.stragglers ?? 'leave',
    progress: NOTHING_YET,
  };
}

/** `before` once more. Where it goes is known: no soak has to find anything out. */
export function inPlaceAgain(before: InPlaceStrategy): InPlaceStrategy {
  const stragglers = before.stragglers === 'only' ? 'leave' : before.stragglers;
  return { ...before, soak_ms: 0, stragglers, progress: NOTHING_YET };
}

/** Why a release in place must not begin now, or null. */
export function refuseInPlace({ running }: Pick<Origin, 'running'>): Problem | null {
  if (running?.state === 'rolling_back')
    return {
      code: 'conflict',
      detail: `Release ${running.id} goes back from ${running.target}, and a release in place would give ${running.target} requests again. Wait for its end.`,
    };
  return null;
}

/**
 * Why a release in place would give a version more than it has now, by the mere start; empty = it would not. What it says to do instead is safe:
 * instances without a share have no traffic that a drain could take away.
 */
export function guardWeights(
  { service, stable, target, shares }: ReleaseRecord,
  inForce: Shares,
  ready: Readonly<Record<string, number>>,
): readonly string[] {
  if (Object.keys(inForce).length === 0 || Object.keys(shares).length > 0) return [];
  const byWeights = sharesByCount(ready, stable);
  const gains = Object.keys(byWeights).filter(
    (version) => version !== stable && shareOf(byWeights, version) > shareOf(inForce, version),
  );
  const spell = (version: string): string =>
    `${version} from ${String(shareOf(inForce, version))} % to about ${String(shareOf(byWeights, version))} %`;
  return gains.map((version) => {
    const drain = `ebbgate drain -s ${service} --version ${version}`;
    const then = version === target ? 'it runs the version already' : 'it is left out then';
    return `a release in place goes by weights, which would take ${spell(version)} of the requests at once; take it out of use first: ${drain} (${then})`;
  });
}

/** What a new release in place begins with. What the one before has under way stays drained; who finishes with stragglers changes no shares. */
export function inPlaceFrom(
  strategy: InPlaceStrategy,
  { running, handed, stable, target, intent_shares }: Origin,
): { readonly strategy: InPlaceStrategy; readonly base: Shares } {
  const base = stable === target ? (running?.shares ?? intent_shares) : {};
  return { strategy: { ...strategy, progress: { ...NOTHING_YET, batch: handed } }, base };
}

/** The hook of the upgrade; none if a person does it. */
export function hooksOf({ upgrade }: InPlaceStrategy): readonly HookUse[] {
  if ('webhook' in upgrade) return [{ field: 'body.in_place.webhook.url', url: upgrade.webhook.url }];
  if ('command' in upgrade) return [{ field: 'body.in_place.command.name', command: upgrade.command.name }];
  return [];
}

/** Batches of 20%, upgraded by …: for a plan. */
export function spellUpgrade(strategy: InPlaceStrategy): string {
  const { upgrade } = strategy;
  const within = `within ${formatDuration(strategy.upgrade_timeout_ms)}`;
  if ('webhook' in upgrade) return `webhook ${originOf(upgrade.webhook.url)}, ${within}`;
  if ('command' in upgrade) return `command ${upgrade.command.name}, ${within}`;
  return `a person, ${within}`;
}

/** What may be shown of a URL: its path and query may contain a secret. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}
