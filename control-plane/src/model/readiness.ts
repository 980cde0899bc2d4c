import type { ServiceResource } from './resources.js';

/*
 * Whether a controller can work, and what it suspends until it can; exactly as the JSON of the API.
 */

export interface DependencyState {
  readonly state: 'ok' | 'degraded' | 'down';
  readonly since: string;
  readonly detail: string;
  /** Since when what is shown of it is of the past; null while it answers. */
  readonly stale_since: string | null;
}
/** Whether the wall clock of the controller can be believed. */
export interface ClockState {
  /** `unknown`: no store has answered with its time yet. Only while `in_sync` anything expires. */
  readonly state: 'in_sync' | 'out_of_sync' | 'unknown';
  readonly since: string;
  readonly detail: string;
  /** Store → by how many milliseconds our clock is ahead of its; negative = behind. Only stores that answer. */
  readonly ahead_ms: Readonly<Partial<Record<'zookeeper' | 'redis', number>>>;
}

export interface ReadinessResource {
  readonly ready: boolean;
  /** Why publication is suspended until a person has decided whether what ZooKeeper contains is right; null while nothing is lost. */
  readonly data_loss: string | null;
  readonly controller: {
    readonly state: 'starting' | 'leading' | 'standby';
    readonly epoch: number | null;
    readonly since: string;
  };
  readonly zookeeper: DependencyState;
  readonly redis: DependencyState;
  readonly clock: ClockState;
}

/** What is suspended now, and why. */
export interface ProtectionResource {
  /** As in `ReadinessResource`. */
  readonly data_loss: string | null;
  /** Why nothing expires now (drains, isolations, freezes, time-outs of drains); null while all do. */
  readonly expiry_suspended: string | null;
  /** Services whose removals are suspended, or would be. */
  readonly services: readonly Pick<ServiceResource, 'service' | 'protection' | 'holds'>[];
}
