import type { AuditEntry, NoUndo, Undo } from '../../model/audit.js';
import type { PlannedChange } from '../../model/mutation.js';
import type { Caller } from './context.js';

/** What a change says of itself, for its record. */
export interface Audited {
  /** What it was asked for, as it was named. */
  readonly object: string;
  readonly services: readonly string[];
  readonly changes: readonly PlannedChange[];
  /** How it is taken back, or why it is not. */
  readonly undo: Undo | NoUndo;
  /** What guards said against it. */
  readonly guards?: readonly string[];
  readonly operation?: string | null;
  readonly release?: string | null;
  readonly undoes?: number;
}

/** The record of a change that `caller` asks for now; `wall` is milliseconds. */
export function entryOf(caller: Caller, verb: string, audited: Audited, wall: number): AuditEntry {
  const { by, origin, reason, force, idempotency_key, expires_ms: lasts = null } = caller;
  const { object, services, changes, undo, guards = [], operation = null, release = null, undoes } = audited;
  return {
    ...{ at: new Date(wall).toISOString(), by, ...origin },
    ...{ verb, object, services, changes, more_changes: 0, reason, force, overruled: guards },
    until: lasts === null ? null : new Date(wall + lasts).toISOString(),
    ...{ operation, release, idempotency_key, undoes: undoes ?? null, undo },
  };
}

/** Nothing takes it back, and why. */
export function noUndo(why: string): NoUndo {
  return { kind: 'none', why };
}
