import type { Problem } from '../../model/problem.js';
import type { InPlaceProgress, InPlaceStrategy, ReleaseRecord, Shares } from '../../model/release.js';
import type { InPlaceWish } from '../../model/release_plane.js';
import { carry, isDrained } from './batch.js';
import { shareOf, sharesByCount } from './shares.js';
import { formatDuration } from '../../model/duration.js';

/*
 * How a release in place begins: its defaults, what speaks against it, and what it takes over.
 */

export const DEFAULT_UPGRADE_TIMEOUT_MS = 600_000;

/** The wish with its defaults. `drainTimeoutMs` is the controller's. */
export function inPlaceStrategy(wish: InPlaceWish, drainTimeoutMs: number): InPlaceStrategy {
  const batch = wish.batch ?? { count: 1 };
  return {
    kind: 'in_place',
    batch,
    max_unavailable: wish.max_unavailable ?? batch,
    max_failed: wish.max_failed ?? 0,
    upgrade: wish.upgrade,
    upgrade_timeout_ms: wish.upgrade_timeout_ms ?? DEFAULT_UPGRADE_TIMEOUT_MS,
    drain_timeout_ms: wish.drain_timeout_ms ?? drainTimeoutMs,
    soak_ms: wish.soak_ms ?? 0,
    stragglers: wish.stragglers ?? 'leave',
  };
}

/** Why a release in place must not begin now, or null. */
export function refuseInPlace(running: ReleaseRecord | null): Problem | null {
  if (running?.state === 'rolling_back')
    return {
      code: 'conflict',
      detail: `Release ${running.id} goes back from ${running.target}, and a release in place would give ${running.target} requests again. Wait for its end.`,
    };
  return null;
}

/**
 * Why a release in place would give a version more than it has now, by the mere start; empty = it would not. What it says to do instead is safe:
 * instances without a share hold no traffic that a drain could take away.
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

/** Why a weighted release must not take the place of `running`, or null: it has no drains of its own. */
export function refuseWeighted(running: ReleaseRecord | null): Problem | null {
  const drained = (running?.in_place?.batch ?? []).filter(isDrained).map(({ id }) => id);
  if (!running || drained.length === 0) return null;
  return {
    code: 'conflict',
    detail: `Release ${running.id} has ${drained.join(', ')} drained for its upgrade. Wait for the end of its batch, or skip it.`,
  };
}

/** What a new release in place begins with: what the one before has under way stays drained. */
export function takeOver(running: ReleaseRecord | null): InPlaceProgress {
  const batch = running?.in_place ? carry(running.in_place, 'drained') : [];
  return { batch, called: null, left_out: [], full: false, planned: null, batches: [] };
}

/** Batches of 20%, upgraded by …: for a plan. */
export function spellUpgrade(strategy: InPlaceStrategy): string {
  const { upgrade } = strategy;
  const within = `within ${formatDuration(strategy.upgrade_timeout_ms)}`;
  if ('webhook' in upgrade) return `webhook ${originOf(upgrade.webhook.url)}, ${within}`;
  if ('command' in upgrade) return `command ${upgrade.command.name}, ${within}`;
  return `a person, ${within}`;
}

/** What may be shown of a URL: its path and query may hold a secret. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}
