import type { AuditEntry } from '../../model/audit.js';
import type { Term, WriteFailure } from '../../model/ports.js';
import type { Result } from '../../model/result.js';

/** Only `perform` opens it, with the record of the change: nothing that somebody asked for is written without one. */
const CARRY_OUT = Symbol('carry out');

/** What a change writes, in one transaction. */
export interface Writing {
  readonly [CARRY_OUT]: (term: Term, entry: AuditEntry) => Promise<Result<unknown, WriteFailure>>;
}

/** A store, as far as a change needs it. */
interface Writable<Edit> {
  write(
    term: Term,
    edits: readonly Edit[],
    entry?: AuditEntry,
  ): Promise<Result<readonly (string | null)[], WriteFailure>>;
}

/** These edits of a store. None are the record of the change alone. */
export function into<Edit>(store: Writable<Edit>, edits: readonly Edit[]): Writing {
  return { [CARRY_OUT]: (term, entry) => store.write(term, edits, entry) };
}

/** Writes it, under `term`, with its record. */
export function carryOut(
  writing: Writing,
  term: Term,
  entry: AuditEntry,
): Promise<Result<unknown, WriteFailure>> {
  return writing[CARRY_OUT](term, entry);
}
