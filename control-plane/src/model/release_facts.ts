import type { Counts, GateAnswer } from './release_gates.js';
import type { CallOutcome } from './release_strategy.js';

/** What is known of a release's service at one moment. Whatever cannot be known is absent, never guessed. */
export interface ReleaseFacts {
  /** This run of the controller. */
  readonly watcher: string;
  /** Instances that take requests as soon as their version has a share, by version. */
  readonly ready: Readonly<Record<string, number>>;
  /** Who would take requests by the set and serves nobody: one sentence each, which names it. Not in `ready`. */
  readonly unfit: readonly { readonly version: string; readonly says: string }[];
  /** The set compiled from this very record is in force in Redis, and that is sure. */
  readonly published: boolean;
  /** Gateways that do not obey that set yet, one sentence each; empty = all that are known obey it. */
  readonly behind: readonly string[];
  /** Cumulative counts by version since the watcher began to count; null while they cannot be read. */
  readonly totals: Readonly<Record<string, Counts>> | null;
  /** Counts by version over the last ten seconds; null while they cannot be read. */
  readonly recent: Readonly<Record<string, Counts>> | null;
  /** The shares in the service's own record: what applies once the release is over. */
  readonly intent_shares: Readonly<Record<string, number>>;
  /** What gates outside answered and is not written down yet, by the key of the question. */
  readonly answers: Readonly<Record<string, GateAnswer>>;
  readonly min_available: number;
  /** What is known of instances is of now: ZooKeeper answers. */
  readonly current: boolean;
  /** Why no step may begin now: protection, degraded stores. One sentence each. */
  readonly blocked_by: readonly string[];
  /** The service's instances by id; empty for a weighted release, which does not look at them. */
  readonly instances: readonly InstanceFacts[];
  /** What came of the call for the present batch and attempt; null while it has no outcome. */
  readonly call: CallOutcome | null;
  /** What a healthy instance is given time for until it counts as warm. */
  readonly slow_start_ms: number;
}

/** One instance, as a release in place must know it. */
export interface InstanceFacts {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  /** `doubtful`: its registration is missing, and it may be there. */
  readonly presence: 'present' | 'doubtful' | 'gone';
  /** It would take requests if neither shares nor a release spoke against it, and some gateway finds it well. */
  readonly able: boolean;
  /** It says that it is ready, and not that it is leaving. */
  readonly ready: boolean;
  readonly leaving: boolean;
  /** Why a person has it out of use, or null. */
  readonly out_of_use: string | null;
  /** It is proven to have no request, and gets none. */
  readonly drained: boolean;
  /** What that proof waits for, one sentence each. */
  readonly undrained: readonly string[];
  /** Open requests; null = some gateway cannot be counted. */
  readonly in_flight: number | null;
  /** Gateways that do not find it healthy, one sentence each. */
  readonly unhealthy: readonly string[];
}
