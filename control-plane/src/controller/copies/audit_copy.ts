import { isSameRecord, MOST_COPIED, type AuditRecord } from '../../model/audit.js';
import type { AuditStore } from '../../model/audit_ports.js';
import type { Log, Term } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { CopiedRecord, CopyPlace, RecordCodec } from '../../model/truth_copy.js';
import { recordIn } from '../../plan/copy_document.js';

/** Records that are read and added at once. */
const PART = 500;

export interface AuditCopyDeps {
  readonly audit: Pick<AuditStore, 'newest' | 'following' | 'goOnAfter'>;
  readonly codec: Pick<RecordCodec, 'encodeAudit' | 'decode'>;
  readonly log: Log;
}

/** Has the audit of every place follow that in ZooKeeper: what was added since, and the newest `MOST_COPIED` where there is none. */
export class AuditCopy {
  readonly #deps: AuditCopyDeps;
  /** Place → up to which number it has the records, as was found under a term. */
  readonly #followed = new Map<CopyPlace, { readonly term: Term; last: number }>();

  constructor(deps: AuditCopyDeps) {
    this.#deps = deps;
  }

  /** Adds what is missing, as long as `goesOn` says so: it is asked before every write. */
  async follow(place: CopyPlace, term: Term, goesOn: () => boolean): Promise<Result<null, string>> {
    const newest = await this.#deps.audit.newest();
    if (!newest.ok) return newest;
    const known = this.#followed.get(place);
    const begun = known?.term === term ? ok(known) : await this.#begin(place, term, newest.value, goesOn);
    if (!begun.ok || begun.value === null) return begun.ok ? ok(null) : begun;
    const followed = begun.value;
    while (followed.last < newest.value) {
      const from = Math.max(followed.last, newest.value - MOST_COPIED);
      const part = await this.#deps.audit.following(from, PART);
      if (!part.ok) return part;
      if (!goesOn()) return ok(null);
      const records = part.value.map((one) => this.#deps.codec.encodeAudit(one));
      const last = records.at(-1)?.n;
      // What is left cannot be read.
      if (last === undefined) break;
      const added = await place.audit.append(term.epoch, followed.last, records);
      if (!added.ok || added.value === 'conflict') this.#followed.delete(place);
      if (!added.ok) return added;
      if (added.value === 'conflict') return err('it has other records of the audit than were written');
      followed.last = last;
    }
    return ok(null);
  }

  /** Finds out where a place ends, and whether it is of this audit; null = not now. */
  async #begin(
    place: CopyPlace,
    term: Term,
    newest: number,
    goesOn: () => boolean,
  ): Promise<Result<{ last: number } | null, string>> {
    const { audit, log } = this.#deps;
    const kept = await place.audit.newest();
    if (!kept.ok) return kept;
    let last = kept.value?.n ?? 0;
    const common = await this.#common(place, kept.value, newest);
    if (!common.ok) return common;
    const present = await this.#recordAt(Math.min(newest, last));
    if (!present.ok) return present;
    const isOther =
      common.value !== null && present.value !== null && !isSameRecord(common.value, present.value);
    if (!goesOn()) return ok(null);
    if (isOther) {
      log.warn({ place: place.spelled, last }, 'the copy of the audit is of another one; it begins anew');
      const cleared = await place.audit.clear(term.epoch);
      if (!cleared.ok) return cleared;
      last = 0;
    }
    // ZooKeeper has forgotten records: no number is given twice.
    if (newest < last) audit.goOnAfter(last);
    const followed = { term, last };
    this.#followed.set(place, followed);
    return ok(followed);
  }

  /** The record of the place with the greatest number that both may have; null = there is none. */
  async #common(
    place: CopyPlace,
    kept: CopiedRecord | null,
    newest: number,
  ): Promise<Result<AuditRecord | null, string>> {
    if (kept === null || newest === 0) return ok(null);
    if (kept.n <= newest) return ok(this.#read([kept.text])[0] ?? null);
    const all = await place.audit.read();
    return all.ok ? ok(this.#read(all.value).find(({ n }) => n === newest) ?? null) : all;
  }

  async #recordAt(n: number): Promise<Result<AuditRecord | null, string>> {
    if (n === 0) return ok(null);
    const found = await this.#deps.audit.following(n - 1, 1);
    return found.ok ? ok(found.value.find((one) => one.n === n) ?? null) : found;
  }

  #read(texts: readonly string[]): readonly AuditRecord[] {
    return this.#deps.codec.decode({ records: [], tokens: false, audit: texts.map(recordIn) }).audit;
  }
}
