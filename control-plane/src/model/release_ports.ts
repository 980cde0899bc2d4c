import type { LimitCounts } from './limit.js';
import type { Lifecycle, TruthStore } from './ports.js';
import type { ReleaseRecord, ServiceReleases, StoredRelease } from './release.js';
import type { Counts } from './release_gates.js';
import type { Result } from './result.js';

/*
 * The contracts of releases between the folders, beside model/ports.ts.
 */

/** One transaction over a service's releases. */
export interface ReleaseEdit {
  readonly service: string;
  /** Of the release that runs; null = none does. */
  readonly etag: string | null;
  /** What runs after it; null = none does. */
  readonly current: ReleaseRecord | null;
  /** What goes to the history by it, or null. */
  readonly archive: ReleaseRecord | null;
  /** True: the history goes, and all else of the service; only while none runs. */
  readonly forget?: true;
}

/**
 * The releases of all services. A damaged running release stays shown as it was last good, if it ever was; `read` finds the
 * running one. One that began or moved meanwhile makes a write a conflict.
 */
export type ReleaseStore = TruthStore<ServiceReleases, ReleaseEdit, StoredRelease>;

/** What one gateway counted since its boot. */
export interface GatewayTraffic {
  readonly gateway: string;
  readonly boot: string;
  /** Counts the gateway's heartbeats, so that a silent one differs from an idle one; null = it does not report it. */
  readonly seq: number | null;
  /** Service → version → counts. */
  readonly services: Readonly<Record<string, Readonly<Record<string, Counts>>>>;
  /** Service → limit → counts of the last `seconds`; absent where there are no limits, or in an older release. */
  readonly limits?: {
    readonly seconds: number;
    readonly services: Readonly<Record<string, Readonly<Record<string, LimitCounts>>>>;
  };
}

/** Reads the gateways' counters, on demand. */
export interface TrafficReader extends Lifecycle {
  /** Of the gateways that are named; one whose counters are missing or damaged is left out. */
  read(gateways: readonly string[]): Promise<Result<readonly GatewayTraffic[], string>>;
}
