import type { Clock, Feedback, IntentStore, Log, RosterStore } from '../../model/ports.js';
import type { Origin } from '../../model/origin.js';
import type { AuditStore } from '../../model/audit_ports.js';
import type { FreezeStore } from '../../model/freeze_ports.js';
import type { ApiConsumerStore } from '../../model/api_consumer_ports.js';
import type { TokenStore } from '../../model/token_ports.js';
import type { World } from '../../plan/world.js';
import type { Compilation } from '../compilation.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Authority } from '../office/authority.js';
import type { Passes } from '../passes.js';
import type { ServiceQueue } from './service_queue.js';

/** What every command works with; built once by the controller. */
export interface CommandContext {
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly freezes: FreezeStore;
  readonly audit: AuditStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
  readonly feedback: Feedback;
  readonly clock: Clock;
  readonly log: Log;
  /** A fresh operation id. */
  readonly newId: () => string;
  readonly settings: { readonly drainTimeoutMs: number };
  readonly authority: Authority;
  readonly passes: Passes;
  readonly queue: ServiceQueue;
  /** Everything that is known now. */
  readonly world: () => World;
  readonly inputs: Pick<
    Inputs,
    'releases' | 'running' | 'traffic' | 'storedFreeze' | 'tokens' | 'apiConsumers'
  >;
  readonly compilation: Pick<Compilation, 'isInForce' | 'areKeysInForce'>;
}

/** Who asks for a change, why, and how: what every request says of itself. */
export interface Caller {
  /** The principal. */
  readonly by: string;
  readonly origin: Origin;
  readonly reason: string;
  readonly force: boolean;
  /** Nothing is written. */
  readonly dry_run: boolean;
  readonly idempotency_key: string | null;
  /** How long what is decided lasts; absent where nothing ends by itself. */
  readonly expires_ms?: number | null;
}
