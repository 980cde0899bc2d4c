import { copyFor, isAsked, isCopied, TOO_OLD, withoutUndo } from '../../model/audit.js';
import type { AuditBounds, AuditEntry, AuditPage, AuditQuery, AuditRecord } from '../../model/audit.js';
import type { AuditStore } from '../../model/audit_ports.js';
import type { Term, WriteFailure } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { Rows } from './truth_store.js';

/** Where the records are. */
interface Records extends Pick<Rows, 'away' | 'commit'> {
  readonly records: AuditRecord[];
  /** The next record has a number greater than `n`. */
  goOnAfter(n: number): void;
}

/** The records of one truth in memory. A ring of a service is what `tend` leaves of its records, however old. */
export class MemoryAudit implements AuditStore {
  readonly #truth: Records;
  readonly #bounds: AuditBounds;
  /** Below this, records are gone from all but the rings of services. */
  #first = 1;
  /** Below this, nothing is kept that undoes one. */
  #firstUndo = 1;

  constructor(truth: Records, bounds: AuditBounds) {
    this.#truth = truth;
    this.#bounds = bounds;
  }

  page(query: AuditQuery): Promise<Result<AuditPage, string>> {
    const { away } = this.#truth;
    if (away !== null) return Promise.resolve(err(away));
    const { service, before, limit } = query;
    const all = service === null ? this.#log() : this.#ring(service);
    const found = all
      .toReversed()
      .filter((record) => record.n < (before ?? Infinity) && isAsked(record, query));
    const items = found.slice(0, limit);
    return Promise.resolve(ok({ items, next: found.length > limit ? (items.at(-1)?.n ?? null) : null }));
  }

  record(n: number): Promise<Result<AuditRecord | null, string>> {
    const { away } = this.#truth;
    if (away !== null) return Promise.resolve(err(away));
    const record = this.#truth.records.find((one) => one.n === n && n >= this.#first);
    if (record === undefined) return Promise.resolve(ok(null));
    const isKept = record.undo.kind === 'none' || (record.undo.kind !== 'apart' && n >= this.#firstUndo);
    return Promise.resolve(ok(isKept ? record : { ...record, undo: TOO_OLD }));
  }

  following(after: number, most: number): Promise<Result<readonly AuditRecord[], string>> {
    const { away } = this.#truth;
    if (away !== null) return Promise.resolve(err(away));
    const following = this.#log().filter(({ n }) => n > after);
    return Promise.resolve(ok(following.slice(0, most)));
  }

  newest(): Promise<Result<number, string>> {
    const { away } = this.#truth;
    return Promise.resolve(away === null ? ok(this.#log().at(-1)?.n ?? 0) : err(away));
  }

  goOnAfter(n: number): void {
    this.#truth.goOnAfter(n);
  }

  append(term: Term, entry: AuditEntry): Promise<Result<null, WriteFailure>> {
    const done = this.#truth.commit(term, [], entry);
    return Promise.resolve(done.ok ? ok(null) : done);
  }

  restore(term: Term, records: readonly AuditRecord[]): Promise<Result<null, WriteFailure>> {
    const done = this.#truth.commit(term, []);
    if (!done.ok) return Promise.resolve(done);
    const known = new Set(this.#truth.records.map(({ n }) => n));
    this.#truth.records.push(...records.filter(({ n }) => !known.has(n)).map(withoutUndo));
    this.#truth.records.sort((a, b) => a.n - b.n);
    return Promise.resolve(ok(null));
  }

  tend(): Promise<void> {
    const { all, undo } = this.#bounds;
    this.#first = Math.max(this.#first, this.#oldestOf(all));
    this.#firstUndo = Math.max(this.#firstUndo, this.#oldestOf(undo));
    return Promise.resolve();
  }

  /** The first number of the pages that are kept where at least `most` records are. */
  #oldestOf(most: number): number {
    const { page } = this.#bounds;
    const last = this.#truth.records.at(-1)?.n ?? 0;
    return (Math.floor(last / page) - Math.ceil(most / page)) * page;
  }

  #log(): readonly AuditRecord[] {
    return this.#truth.records.filter(({ n }) => n >= this.#first).map(withoutUndo);
  }

  #ring(service: string): readonly AuditRecord[] {
    return this.#truth.records
      .filter(({ services }) => services.includes(service))
      .slice(-this.#bounds.service)
      .filter((record) => isCopied(record) || record.n >= this.#first)
      .map((record) => withoutUndo(copyFor(service, record)));
  }
}
