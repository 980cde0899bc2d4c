import type { AuditEntry, AuditPage, AuditQuery, AuditRecord } from './audit.js';
import type { Term, WriteFailure } from './ports.js';
import type { Result } from './result.js';

/**
 * The records of changes. Each is written by the `write` of the store whose records it changes, in that transaction; here they
 * are read, and the oldest go. Nothing is kept in memory: a controller starts without reading any.
 */
export interface AuditStore {
  /** What was asked for, newest first, as of now, without what undoes it. Looks at a bounded number of records, and says where to go on. */
  page(query: AuditQuery): Promise<Result<AuditPage, string>>;
  /** One record, with what undoes it while that is kept; null if there is none of that number, or none any more. */
  record(n: number): Promise<Result<AuditRecord | null, string>>;
  /** Records with a number greater than `after`, oldest first, at most `most`, without what undoes them: for a copy of all. Empty = no more. */
  following(after: number, most: number): Promise<Result<readonly AuditRecord[], string>>;
  /** The number of the newest record; 0 = there is none. */
  newest(): Promise<Result<number, string>>;
  /** The next record has a number greater than `n`, also where ZooKeeper has lost the ones before. */
  goOnAfter(n: number): void;
  /** Writes an entry whose change is in no store. */
  append(term: Term, entry: AuditEntry): Promise<Result<null, WriteFailure>>;
  /**
   * Writes the records of a copy, oldest first, where nothing of their numbers is: what is there stays. Numbers go on after
   * the greatest.
   */
  restore(term: Term, records: readonly AuditRecord[]): Promise<Result<null, WriteFailure>>;
  /** Removes what is more than the bounds say, a bounded part at each call. Never fails: what is left goes another time. */
  tend(term: Term): Promise<void>;
}
