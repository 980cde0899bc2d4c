import type { DamageAware, Lifecycle, LossAware, Term, WriteFailure } from './ports.js';
import type { Counts, ReleaseRecord, ServiceReleases, StoredRelease } from './release.js';
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
}

/** The releases of all services. Pushes the complete map at start and at every change; a lost link pushes nothing. */
export interface ReleaseStore
  extends Lifecycle, DamageAware, LossAware<ReadonlyMap<string, ServiceReleases>> {
  onChange(listener: (releases: ReadonlyMap<string, ServiceReleases>) => void): void;
  /** Writes all of `edit` or nothing, under the term's fence. A release that began or moved meanwhile is a conflict. */
  write(term: Term, edit: ReleaseEdit): Promise<Result<void, WriteFailure>>;
  /** Service → what is wrong with its running release. `onChange` goes on showing its last good one, if one was seen. */
  damaged(): ReadonlyMap<string, string>;
  /** Reads the running release of one service past every cache; null if none runs. */
  read(service: string): Promise<Result<StoredRelease | null, WriteFailure>>;
}

/** What one gateway counted since its boot. */
export interface GatewayTraffic {
  readonly gateway: string;
  readonly boot: string;
  /** Counts the gateway's heartbeats, so that one that is silent can be told from one that is idle; null = it does not tell. */
  readonly seq: number | null;
  /** Service → version → counts. */
  readonly services: Readonly<Record<string, Readonly<Record<string, Counts>>>>;
}

/** Reads the gateways' counters, on demand. */
export interface TrafficReader extends Lifecycle {
  /** Of the gateways that are named; one whose counters are missing or damaged is left out. */
  read(gateways: readonly string[]): Promise<Result<readonly GatewayTraffic[], string>>;
}
