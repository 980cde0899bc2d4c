import type { ReleaseRecord, ReleaseTraffic } from '../../model/release.js';
import type { WantedCall } from './call.js';
import { strategyOf } from './strategy/of.js';
import type { HookUse } from './strategy/strategy.js';

/*
 * What a record asks of others while it is written in ZooKeeper.
 */

/** What it asks of the set of its service. */
export function wantedTraffic(record: ReleaseRecord): ReleaseTraffic {
  const { id: release, stable, shares } = record;
  return { release, stable, shares, ...strategyOf(record).traffic(record) };
}

/** The call of an upgrade that it asks for; null = none, or it has an outcome. */
export function wantedCall(record: ReleaseRecord): WantedCall | null {
  return strategyOf(record).call(record);
}

/** Every hook that it may call on its way. */
export function wantedHooks({ strategy }: ReleaseRecord): readonly HookUse[] {
  return strategyOf({ strategy }).hooks(strategy);
}
