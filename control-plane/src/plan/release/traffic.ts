import type { ReleaseTraffic, ServiceReleases } from '../../model/release.js';
import { wantedTraffic } from './asks.js';
import { sameShares } from './shares.js';

/** What each running release asks for; the same object as before where nothing differs, so that its set is not compiled again. */
export function trafficOf(
  shown: ReadonlyMap<string, ServiceReleases>,
  before: ReadonlyMap<string, ReleaseTraffic>,
): ReadonlyMap<string, ReleaseTraffic> {
  const traffic = new Map<string, ReleaseTraffic>();
  for (const [service, { current }] of shown) {
    if (!current) continue;
    const wanted = wantedTraffic(current.record);
    const old = before.get(service);
    // The batch only explains: one that drains the same instances needs no other set.
    const same =
      old?.release === wanted.release &&
      old.stable === wanted.stable &&
      sameShares(old.shares, wanted.shares) &&
      old.draining.join() === wanted.draining.join();
    traffic.set(service, same ? old : wanted);
  }
  return traffic;
}
