import type { Shares } from '../../../../model/release.js';
import type { WeightedStep, WeightedStrategy } from '../../../../model/release_strategy.js';
import type { StrategyRequest } from '../../../../model/release_plane.js';
import { shareOf, sharesByCount } from '../../shares.js';
import type { Origin } from '../strategy.js';

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

/** What a request asks for; `otherwise` where it names no steps. */
export function weightedBy(
  request: StrategyRequest | null,
  otherwise: readonly WeightedStep[],
): WeightedStrategy {
  const steps = request?.kind === 'weighted' ? request.steps : null;
  return { kind: 'weighted', steps: withEnd(steps ?? otherwise), progress: { capacity: null } };
}

/** What a weighted release moves from: the shares in force, or by weights what the ready instances come to. */
export function baseOf({ running, ready, stable }: Origin): Shares {
  if (!running) return { [stable]: 100 };
  return Object.keys(running.shares).length > 0 ? running.shares : sharesByCount(ready, stable);
}

/** Who serves as it begins: the instances of the stable version, else all of those that have a share. */
export function capacityOf({ ready, stable }: Origin, base: Shares): number {
  const own = shareOf(ready, stable);
  if (own > 0 && shareOf(base, stable) > 0) return own;
  return Object.keys(base).reduce((sum, version) => sum + shareOf(ready, version), 0);
}

/** The last weight is 100, so that a release that succeeds has moved everything. */
function withEnd(steps: readonly WeightedStep[]): readonly WeightedStep[] {
  const last = steps.findLast((step) => 'weight' in step);
  return last && 'weight' in last && last.weight === 100 ? steps : [...steps, { weight: 100 }];
}
