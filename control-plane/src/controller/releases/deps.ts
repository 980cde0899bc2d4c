import type { Hooks } from '../../model/hooks.js';
import type { Clock, LinkState } from '../../model/ports.js';
import type { Prometheus } from '../../model/prometheus.js';
import type { ReleaseStore, TrafficReader } from '../../model/release_ports.js';
import type { CommandContext } from '../commands/context.js';

/** What releases need besides what every command works with. */
export interface ReleaseDeps extends CommandContext {
  readonly clock: Clock;
  readonly store: ReleaseStore;
  readonly reader: TrafficReader;
  readonly hooks: Hooks;
  readonly prometheus: Prometheus;
  /** A fresh release id. */
  readonly newId: () => string;
  readonly truthLink: () => LinkState;
  /** Another pass, soon. */
  readonly wake: () => void;
}
