import type { ReleaseTraffic, ServiceReleases } from '../../model/release.js';
import { drainedBy, spellBatch } from './batch.js';
import { sameShares } from './shares.js';

/** What each running release asks for; the same object as before where nothing differs, so that its set is not compiled again. */
export function trafficOf(
  shown: ReadonlyMap<string, ServiceReleases>,
  before: ReadonlyMap<string, ReleaseTraffic>,
): ReadonlyMap<string, ReleaseTraffic> {
  const traffic = new Map<string, ReleaseTraffic>();
  for (const [service, { current }] of shown) {
    if (!current) continue;
    const { id: release, stable, shares, step } = current.record;
    const draining = drainedBy(current.record);
    const old = before.get(service);
    const same =
      old?.release === release &&
      old.stable === stable &&
      sameShares(old.shares, shares) &&
      old.draining.join() === draining.join();
    // The number is only shown: a batch that drains the same instances needs no other set.
    const batch = spellBatch(current.record, step);
    traffic.set(service, same ? old : { release, stable, shares, draining, batch });
  }
  return traffic;
}
