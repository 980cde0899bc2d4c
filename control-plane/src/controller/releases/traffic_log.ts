import type { Counts } from '../../model/release_gates.js';
import type { GatewayTraffic } from '../../model/release_ports.js';
import { addCounts, countsSince, NO_COUNTS } from '../../plan/release/gates.js';

type ByVersion = Readonly<Record<string, Counts>>;

interface Sample {
  readonly at: number;
  readonly totals: ReadonlyMap<string, ByVersion>;
}

/** How long samples are kept: what the fast gate looks back on, and a bit. */
const KEPT_MS = 15_000;
/** A gateway reports its counters every two seconds at the least. What it adds up after a longer silence is of no known time, and left out. */
const SILENT_MS = 5_000;

/**
 * What the gateways counted while this controller looked, by service and version, over all gateways. A gateway's first reading
 * only says where its counters are; one that has started again counts from zero, and what one adds up in a long silence is of no known time. Moments are monotonic milliseconds.
 */
export class TrafficLog {
  /** Gateway → what it reported last, and when that was new. */
  readonly #before = new Map<string, { readonly traffic: GatewayTraffic; readonly at: number }>();
  #totals = new Map<string, ByVersion>();
  #samples: Sample[] = [];
  /** Service → versions of which a gateway had counted something at its first reading. */
  readonly #old = new Map<string, Set<string>>();

  /** Takes one reading of all gateways in; only `services` are counted. */
  take(read: readonly GatewayTraffic[], services: ReadonlySet<string>, now: number): void {
    const totals = new Map([...this.#totals].filter(([service]) => services.has(service)));
    const begun = [...services].filter((service) => !totals.has(service));
    for (const traffic of read) {
      const before = this.#before.get(traffic.gateway);
      // What a service had before this look, wherever its counting begins: with the gateway, or with its release.
      this.#noteOld(before?.traffic ?? traffic, before ? begun : services);
      if (before && isRepeat(before.traffic, traffic)) continue;
      this.#before.set(traffic.gateway, { traffic, at: now });
      if (!before || now - before.at > SILENT_MS) continue;
      const base = before.traffic.boot === traffic.boot ? before.traffic.services : {};
      for (const service of services) {
        const gained = gainOf(own(traffic.services, service) ?? {}, own(base, service) ?? {});
        totals.set(service, sum(totals.get(service) ?? {}, gained));
      }
    }
    for (const service of services) if (!totals.has(service)) totals.set(service, {});
    this.#totals = totals;
    this.#samples = [...this.#samples.filter((one) => now - one.at <= KEPT_MS), { at: now, totals }];
  }

  /** True if requests of `version` were counted before this log began: some of them may still be on their way. */
  hasCountedBefore(service: string, version: string): boolean {
    return this.#old.get(service)?.has(version) ?? false;
  }

  #noteOld(traffic: GatewayTraffic, services: Iterable<string>): void {
    for (const service of services) {
      const old = this.#old.get(service) ?? new Set();
      this.#old.set(service, old);
      for (const [version, { requests }] of Object.entries(own(traffic.services, service) ?? {}))
        if (requests > 0) old.add(version);
    }
  }

  /** Null before the first reading. */
  totals(service: string): ByVersion | null {
    return this.#totals.get(service) ?? null;
  }

  /** What was counted from `since` to now; null while there are no two readings to compare. */
  recent(service: string, since: number): ByVersion | null {
    const newest = this.#samples.at(-1);
    const oldest =
      this.#samples.findLast((one) => one.at <= since && one.totals.has(service)) ??
      this.#samples.find((one) => one.totals.has(service));
    if (!newest || !oldest || newest === oldest) return null;
    return gainOf(newest.totals.get(service) ?? {}, oldest.totals.get(service) ?? {});
  }
}

/** True if a gateway has reported nothing since; what is older was read from a Redis that has lost its newest writes. */
function isRepeat(before: GatewayTraffic, now: GatewayTraffic): boolean {
  if (now.seq === null || before.seq === null) return false;
  return now.boot === before.boot && now.seq <= before.seq;
}

function gainOf(now: ByVersion, before: ByVersion): ByVersion {
  return Object.fromEntries(
    Object.entries(now).map(([version, counts]) => [
      version,
      countsSince(counts, own(before, version) ?? NO_COUNTS),
    ]),
  );
}

function sum(a: ByVersion, b: ByVersion): ByVersion {
  const versions = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries(
    [...versions].map((version) => [
      version,
      addCounts(own(a, version) ?? NO_COUNTS, own(b, version) ?? NO_COUNTS),
    ]),
  );
}

/** A version may well be called `constructor`. */
function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
