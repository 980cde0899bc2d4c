import type { Lifecycle, Term, WriteFailure } from './ports.js';
import type { Problem } from './problem.js';
import type {
  Counts,
  Gates,
  ReleaseEvent,
  ReleaseRecord,
  ServiceReleases,
  Verb,
  WeightedStep,
} from './release.js';
import type { ReleaseResource, ReleasePlanResource } from './release_resources.js';
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
export interface ReleaseStore extends Lifecycle {
  onChange(listener: (releases: ReadonlyMap<string, ServiceReleases>) => void): void;
  /** Writes all of `edit` or nothing, under the term's fence. A release that began or moved meanwhile is a conflict. */
  write(term: Term, edit: ReleaseEdit): Promise<Result<void, WriteFailure>>;
  /** Service → what is wrong with its running release. `onChange` goes on showing its last good one, if one was seen. */
  damaged(): ReadonlyMap<string, string>;
}

/** What one gateway counted since its boot. */
export interface GatewayTraffic {
  readonly gateway: string;
  readonly boot: string;
  /** Service → version → counts. */
  readonly services: Readonly<Record<string, Readonly<Record<string, Counts>>>>;
}

/** Reads the gateways' counters, on demand. */
export interface TrafficReader extends Lifecycle {
  /** Of every gateway that Redis lists; one whose counters are missing or damaged is left out. */
  read(): Promise<Result<readonly GatewayTraffic[], string>>;
}

/** A release that a client asks for. */
export interface ReleaseWish {
  readonly service: string;
  readonly target: string;
  readonly stable: string | null;
  readonly steps: readonly WeightedStep[] | null;
  readonly gates: Partial<Gates>;
  readonly deadline_ms: number | null;
  readonly supersede: boolean;
}

/** The circumstances of a call. */
export interface ReleaseContext {
  readonly by: string;
  readonly reason: string;
  readonly dry_run: boolean;
  readonly force: boolean;
  readonly idempotency_key: string | null;
}

/** What a call did, or with `dry_run` would do. */
export interface ReleaseOutcome {
  readonly dry_run: boolean;
  /** False if it was so already. */
  readonly changed: boolean;
  readonly release: ReleaseResource;
  readonly plan: ReleasePlanResource;
}

/** Releases as the API sees them: reads are of one moment and never wait; `undefined` = no such thing. */
export interface ReleasePlane {
  /** The running ones of all services, by service. */
  running(): readonly ReleaseResource[];
  /** Newest first. */
  ofService(service: string): readonly ReleaseResource[] | undefined;
  byId(id: string): ReleaseResource | undefined;
  plan(id: string): ReleasePlanResource | undefined;
  /** Oldest first. */
  events(id: string): readonly ReleaseEvent[] | undefined;
  start(wish: ReleaseWish, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>>;
  move(id: string, verb: Verb, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>>;
}
