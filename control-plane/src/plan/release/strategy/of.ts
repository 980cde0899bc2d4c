import type { ReleaseRecord } from '../../../model/release.js';
import type { Strategy } from '../../../model/release_strategy.js';
import { FAMILY } from './family.js';
import type { ReleaseStrategy } from './strategy.js';

/** The strategy of `kind`. Throws for one that this controller does not know: nobody may guess what it would do. */
export function strategyOfKind(kind: Strategy['kind']): ReleaseStrategy {
  const found = FAMILY.find((one) => one.kind === kind);
  if (found) return found;
  throw new Error(`the strategy ${kind} is not known to this controller`);
}

/** The strategy of a release. */
export function strategyOf({ strategy }: Pick<ReleaseRecord, 'strategy'>): ReleaseStrategy {
  return strategyOfKind(strategy.kind);
}
