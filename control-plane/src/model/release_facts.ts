import type { Counts } from './release.js';
import type { GateAnswer } from './release_gates.js';

/** What is known of a release's service at one moment. Whatever cannot be known is absent, never guessed. */
export interface ReleaseFacts {
  /** This run of the controller. */
  readonly watcher: string;
  /** Instances that take requests as soon as their version has a share, by version. */
  readonly ready: Readonly<Record<string, number>>;
  /** The set that was compiled from this very record stands in Redis, and that is sure. */
  readonly published: boolean;
  /** Gateways that do not obey that set yet, one sentence each; empty = all that are known obey it. */
  readonly behind: readonly string[];
  /** Cumulative counts by version since the watcher began to count; null while they cannot be read. */
  readonly totals: Readonly<Record<string, Counts>> | null;
  /** Counts by version over the last ten seconds; null while they cannot be read. */
  readonly recent: Readonly<Record<string, Counts>> | null;
  /** The shares in the service's own record: what will hold once the release is over. */
  readonly decided: Readonly<Record<string, number>>;
  /** What gates outside answered and is not written down yet, by the key of the question. */
  readonly answers: Readonly<Record<string, GateAnswer>>;
  readonly min_available: number;
  /** Why no step may begin now: protection, degraded stores. One sentence each. */
  readonly held: readonly string[];
}
