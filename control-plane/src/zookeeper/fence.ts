import type { Term, WriteFailure } from '../model/ports.js';
import type { OperationFailure, TransactionOperation } from './protocol.js';

/** Where the epoch stands; its znode version is the fence of every write. */
export function epochPath(root: string): string {
  return `${root}/epoch`;
}

/** The first operation of every transaction of a controller. */
export function fence(root: string, term: Term): TransactionOperation {
  return { kind: 'check', path: epochPath(root), version: term.version };
}

/** What a refused or unanswered transaction that began with `fence` means, if it is not about the record itself. */
export function fenceFailure(failure: OperationFailure): WriteFailure | null {
  if (failure.kind === 'lost' || failure.kind === 'too_large' || failure.operation === undefined)
    return { kind: 'unavailable', reason: failure.message };
  if (failure.operation !== 0) return null;
  if (failure.kind === 'bad_version') return { kind: 'fenced' };
  return { kind: 'unavailable', reason: `the epoch cannot be checked: ${failure.message}` };
}
