import type { Lifecycle } from './ports.js';
import type { Result } from './result.js';

/** One controller that takes part in the election. */
export interface ElectionMember {
  readonly id: string;
  /** Where the others reach its API, as `http://host:port`; null if they cannot. */
  readonly address: string | null;
  readonly version: string;
  /** RFC 3339: when its process started. */
  readonly started_at: string;
}

/**
 * What is known of the election:
 *
 *   unknown   there is no answer: nobody may take leadership by it, and who has it may have lost it
 *   elected   this controller is the first of those that take part
 *   waiting   another one is
 */
export type ElectionState = 'unknown' | 'elected' | 'waiting';

/**
 * Of all controllers that take part, one is elected: who joined first. Being elected is a reason to take leadership and no proof of
 * having it: a write is fenced by its term, whatever the election says.
 */
export interface Election extends Lifecycle {
  /** By the own monotonic clock: `unknown` as soon as the last answer is older than two thirds of the session. */
  state(): ElectionState;
  /** Called at every change; not when `elected` runs out by the clock alone. It must not throw. */
  onChange(listener: () => void): void;
  /** Gives the place up and joins again, behind all others. */
  resign(): void;
  /** Those that take part now, read anew; the first is elected. */
  members(): Promise<Result<readonly ElectionMember[], string>>;
}
