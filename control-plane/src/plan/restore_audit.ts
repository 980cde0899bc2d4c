import { AUDIT_BOUNDS, isSameRecord, type AuditRecord } from '../model/audit.js';
import type { PlannedChange } from '../model/mutation.js';

/** What of the audit of a copy is brought back. */
export interface RestoredAudit {
  /** Those that are missing, oldest first. */
  readonly missing: readonly AuditRecord[];
  /** The next record has a number greater than this. */
  readonly goOnAfter: number;
  readonly changes: readonly PlannedChange[];
}

/**
 * Compares the audit of a copy with what is `present`, of which `newest` is the greatest number. A record is known by its number. Where
 * both have a number for two changes they are two histories, and nothing of the copy's is brought back: numbers are what
 * people name records by. What is so old that it is not kept stays out.
 */
export function restoredAudit(
  copied: readonly AuditRecord[],
  present: readonly AuditRecord[],
  newest: number,
): RestoredAudit {
  const byNumber = new Map(present.map((one) => [one.n, one]));
  const others = copied.filter((one) => {
    const there = byNumber.get(one.n);
    return there !== undefined && !isSameRecord(one, there);
  });
  if (others.length > 0) {
    const from = `${spell(copied)} of another history: number ${String(others[0]?.n)} is another change here`;
    return { missing: [], goOnAfter: 0, changes: [line(from, 'left out')] };
  }
  const last = Math.max(newest, copied.at(-1)?.n ?? 0);
  const missing = copied.filter(({ n }) => !byNumber.has(n) && n > last - AUDIT_BOUNDS.all);
  return {
    missing,
    goOnAfter: copied.at(-1)?.n ?? 0,
    changes: missing.length === 0 ? [] : [line('missing', spell(missing))],
  };
}

function spell(records: readonly AuditRecord[]): string {
  const [first, last] = [records[0]?.n, records.at(-1)?.n];
  if (records.length === 1) return `record ${String(first)}`;
  return `${String(records.length)} records, ${String(first)} to ${String(last)}`;
}

function line(from: string, to: string): PlannedChange {
  return { service: '', instance: null, field: 'audit', from, to };
}

/** When a token or a key was revoked last, and by whom, as the audit says. */
export interface Revocation {
  /** RFC 3339. */
  readonly at: string;
  readonly by: string;
}

/** What a line of the audit was about, like `token ci` or `consumer acme key 0123456789ab` → when it was taken away last, whatever took it away. */
export function revocationsIn(records: Iterable<AuditRecord>): ReadonlyMap<string, Revocation> {
  const found = new Map<string, Revocation>();
  for (const { at, by, changes } of records)
    for (const { field, to } of changes) {
      if (to !== 'none' || !/^(?:token|consumer) /.test(field)) continue;
      const known = found.get(field);
      if (known === undefined || Date.parse(known.at) < Date.parse(at)) found.set(field, { at, by });
    }
  return found;
}
