import type { BreakerState } from './breaker.js';
import type { OnTimeout, ServiceSpec } from './intent.js';
import type { CopyPlaceName } from './copy_places.js';
import type { Origin } from './origin.js';
import type { GuardVerdict } from './problem.js';
import type { OperationResource } from './resources.js';
import type { Role } from './role.js';
import type { Verifier } from './token.js';

/*
 * What a client may ask to be changed, and what it is answered.
 */

/** Selects instances across services. At least one member besides `service` is given. */
export interface Selector {
  readonly service?: string;
  readonly ids?: readonly string[];
  readonly version?: string;
  readonly host?: string;
  readonly zone?: string;
  /** Every instance of `service`; nothing else may be given with it. */
  readonly all?: true;
}

/** What a client wants changed. */
export type Mutation =
  | { readonly kind: 'patch_spec'; readonly service: string; readonly spec: SpecPatch }
  | {
      readonly kind: 'set_weights';
      readonly service: string;
      readonly weights: Readonly<Record<string, number | null>>;
      /** Instance → whether it is a backup; null = as it registers. */
      readonly backups?: Readonly<Record<string, boolean | null>>;
    }
  | {
      readonly kind: 'set_versions';
      readonly service: string;
      readonly versions: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'drain';
      readonly selector: Selector;
      readonly timeout_ms: number | null;
      readonly on_timeout: OnTimeout;
      /** So long clients that are bound by cookie keep their instance. */
      readonly keep_sticky_ms?: number;
    }
  | { readonly kind: 'undrain' | 'isolate' | 'restore'; readonly selector: Selector }
  | { readonly kind: 'cancel_operation'; readonly id: string }
  /** Takes back what a record of the audit says; null = the newest change of who asks that is not taken back yet. */
  | { readonly kind: 'undo'; readonly record: number | null }
  /** The expiry is that of the context. */
  | { readonly kind: 'freeze' | 'unfreeze'; readonly service: string }
  /** A person's word about instances that vanished: they live (until the expiry of the context), or they are gone. */
  | { readonly kind: 'hold' | 'accept'; readonly service: string }
  /** An operator's word about its breaker, until the expiry of the context; `auto` takes it back. */
  | { readonly kind: 'breaker'; readonly service: string; readonly state: BreakerState | 'auto' }
  | { readonly kind: 'freeze_all' | 'unfreeze_all' }
  | { readonly kind: 'forget_gateway' | 'leave_gateway'; readonly gateway: string }
  /** It begins to serve, and may not be heard. */
  | { readonly kind: 'join_gateway'; readonly gateway: string }
  | {
      readonly kind: 'forget_gateways';
      readonly gateways: readonly string[];
      /** Also every name that was never heard. */
      readonly never_heard: boolean;
    }
  | {
      readonly kind: 'create_token';
      readonly name: string;
      readonly id: string;
      readonly role: Role;
      readonly scope: string;
      /** What proves its secret; nothing of it is ever written into a log. Null = it is proven by `certificate`. */
      readonly verifier: Verifier | null;
      readonly certificate: string | null;
    }
  | { readonly kind: 'revoke_token'; readonly name: string }
  | {
      readonly kind: 'create_consumer';
      readonly name: string;
      readonly services: readonly string[];
      readonly networks: readonly string[];
    }
  | {
      readonly kind: 'change_consumer';
      readonly name: string;
      /** Null: as they are. */
      readonly services: readonly string[] | null;
      readonly networks: readonly string[] | null;
    }
  | { readonly kind: 'delete_consumer'; readonly name: string }
  /** A key of a consumer; nothing of it is ever written into a log. The expiry is that of the context. */
  | { readonly kind: 'add_key'; readonly name: string; readonly id: string; readonly hash: string }
  | { readonly kind: 'revoke_key'; readonly name: string; readonly id: string }
  /** A person's word that what ZooKeeper contains after a data loss is right. */
  | {
      readonly kind: 'accept_data_loss';
      /** What was decided, as far as it is known, is written back; else it is lost. */
      readonly keep_intents: boolean;
    }
  /** A copy of the truth is brought back. */
  | {
      readonly kind: 'restore_copy';
      readonly from: CopyPlaceName | 'document';
      readonly which: 'newest' | 'previous';
      /** Not checked yet; where it is not from a place. */
      readonly document: unknown;
      /** The digest of what was shown; null = nothing was. */
      readonly diff: string | null;
      /** What is not in it is removed. */
      readonly prune: boolean;
    };

/** A merge patch (RFC 7396): null takes a member back to its default, at every depth; lists are replaced. */
export type SpecPatch = MergePatch<ServiceSpec>;
type MergePatch<T> = T extends readonly unknown[] | string | number | boolean
  ? T
  : { readonly [K in keyof T]?: MergePatch<NonNullable<T[K]>> | null };

/** The circumstances of a mutation. */
export interface MutationContext {
  readonly by: string;
  readonly origin: Origin;
  /** Which services the caller may touch, as a pattern; a change of others is refused whole. */
  readonly services: string;
  readonly reason: string;
  readonly dry_run: boolean;
  /** Guards only warn. */
  readonly force: boolean;
  /** Without quotes; null = not asked for. '0' = must not exist yet, '*' = whatever it is. */
  readonly if_match: string | null;
  readonly idempotency_key: string | null;
  /** How long a new intent lasts. */
  readonly expires_ms: number | null;
}

/**
 * A line of a plan: what a mutation changes (or would change) in the published sets, in the units that people set. `traffic` is
 * percent of the service's requests, also of instances that nobody touched.
 */
export interface PlannedChange {
  readonly service: string;
  readonly instance: string | null;
  readonly field: string;
  readonly from: string;
  readonly to: string;
}

/** A change that is taken back, by its record. */
export interface UndoneRecord {
  readonly n: number;
  readonly at: string;
  readonly by: string;
  readonly verb: string;
  readonly object: string;
}

/** What a mutation did, or with `dry_run` would do. */
export interface MutationResource {
  readonly dry_run: boolean;
  readonly changes: readonly PlannedChange[];
  /** Guards that spoke; with force they only warn. */
  readonly guards: readonly GuardVerdict[];
  /** What a wait would wait for at this moment. */
  readonly blockers: readonly string[];
  readonly operation: OperationResource | null;
  /** False when Redis could not be written: accepted, and caught up after. */
  readonly published: boolean;
  /** Of a dry run: what else is worth knowing, as sentences. Absent = nothing. */
  readonly notes?: readonly string[];
  /** The record of the audit that it takes back; absent: it takes none back. */
  readonly undoes?: UndoneRecord;
  /** The services it touched, with their new etags. */
  readonly etags: Readonly<Record<string, string>>;
  /** Of bringing a copy back: the digest of the changes, to be sent when they are applied. */
  readonly diff?: string;
}
