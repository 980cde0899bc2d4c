import type { AuditRecord } from '../model/audit.js';
import {
  NO_INTENT,
  type Decided,
  type IntentRecord,
  type ServiceEvent,
  type StoredIntent,
} from '../model/intent.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { Mutation, MutationContext } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import type { RouteSpec } from '../model/route.js';
import { sha1 } from './encode.js';
import { checkRoutes } from './routes/check.js';
import type { Membership } from './membership.js';
import type { Witnesses } from './proof.js';

/** What a decision is made from. `wall` is milliseconds; `newId` is a fresh operation id. */
export interface DecisionState {
  readonly intents: ReadonlyMap<string, StoredIntent>;
  readonly membership: Membership;
  /** Service → what its running release asks of its set; absent = none runs. */
  readonly traffic?: ReadonlyMap<string, ReleaseTraffic>;
  /** What the gateways find of instances. */
  readonly witnesses: Witnesses;
  readonly wall: number;
  /** What was to end until then has expired; absent = `wall`. */
  readonly due?: number;
  readonly newId: string;
  readonly drain_timeout_ms: number;
  /** The record that is to be undone. */
  readonly undo?: AuditRecord;
}

/** What one kind of mutation wants changed, before guards. */
export interface Proposal {
  /** What it is about, changed or not. */
  readonly services: readonly string[];
  readonly records: ReadonlyMap<string, IntentRecord>;
  readonly operation: string | null;
}

/** One service gets this record. */
export function changed(service: string, record: IntentRecord): Proposal {
  return { services: [service], records: new Map([[service, record]]), operation: null };
}

/** It is so already. */
export function unchanged(service: string): Proposal {
  return { services: [service], records: new Map(), operation: null };
}

/** What identifies a request when its Idempotency-Key comes again. */
export function requestHash(mutation: Mutation, context: MutationContext): string {
  return sha1(JSON.stringify([mutation, context.reason, context.force, context.expires_ms]));
}

/** The present record of `service`. */
export function recordOf(state: Pick<DecisionState, 'intents'>, service: string): IntentRecord {
  return state.intents.get(service)?.record ?? NO_INTENT;
}

/** The refusal of a decision about a service that nobody knows: a typing error must not look done. Null if it is known. */
export function unknownService(
  state: Pick<DecisionState, 'intents' | 'membership'>,
  service: string,
): Problem | null {
  if (state.intents.has(service) || state.membership.has(service)) return null;
  return { code: 'not_found', field: 'service', detail: `There is no service ${service}` };
}

/** Who decides, for what is written down. */
export function authorOf({ by, reason, expires_ms }: MutationContext, { wall }: DecisionState): Decided {
  const expires = expires_ms === null ? {} : { expires: new Date(wall + expires_ms).toISOString() };
  return { by, reason, at: new Date(wall).toISOString(), ...expires };
}

/** The history entry of a mutation; `effects` is what it does to what others had decided. */
export function eventOf(
  state: DecisionState,
  mutation: Mutation,
  context: MutationContext,
  event: {
    readonly event: string;
    readonly instance?: string;
    readonly message: string;
    readonly effects?: readonly string[];
  },
): ServiceEvent {
  const reason = context.reason === '' ? '' : ` (${context.reason})`;
  const effects = (event.effects ?? []).map((sentence) => `; ${sentence}`).join('');
  return {
    at: new Date(state.wall).toISOString(),
    event: event.event,
    by: context.by,
    ...(event.instance === undefined ? {} : { instance: event.instance }),
    message: `${event.message}${reason}${effects}`,
    ...(context.reason === '' ? {} : { reason: context.reason }),
    ...(context.idempotency_key === null
      ? {}
      : { idempotency_key: context.idempotency_key, request: requestHash(mutation, context) }),
  };
}

/** Why `service` may not have the routes that it wants, or null. */
export function refuseRoutes(
  service: string,
  wanted: readonly RouteSpec[],
  { intents }: Pick<DecisionState, 'intents'>,
): Problem | null {
  const all = new Map([...intents].map(([name, { record }]) => [name, record.spec.routes ?? []]));
  const refusal = checkRoutes(service, wanted, all);
  if (refusal === null) return null;
  const detail = `${refusal.sentences.join('; ')}.`;
  return refusal.taken
    ? { code: 'route_taken', field: 'routes', detail }
    : { code: 'invalid_request', field: 'body.routes', detail };
}
