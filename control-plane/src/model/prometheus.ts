import type { HookFailure } from './hooks.js';
import type { Lifecycle } from './ports.js';
import type { Result } from './result.js';

/** The Prometheus that gates may ask. */
export interface Prometheus extends Lifecycle {
  /** False if none is configured. */
  readonly offered: boolean;
  /** The JSON that the API of instant queries answered. */
  query(promql: string, timeoutMs: number): Promise<Result<unknown, HookFailure>>;
}
