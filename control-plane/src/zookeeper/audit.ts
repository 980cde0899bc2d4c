import {
  AUDIT_BOUNDS,
  copyFor,
  isAsked,
  TOO_OLD,
  type AuditBounds,
  type AuditPage,
  type AuditRecord,
} from '../model/audit.js';
import type { AuditEntry, AuditQuery } from '../model/audit.js';
import type { AuditStore } from '../model/audit_ports.js';
import type { Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { pruneAudit } from './audit_pruning.js';
import { AuditLog, numberIn, numbers } from './audit_log.js';
import { restoreAudit } from './audit_restoring.js';
import { parseAuditRecord, parseUndo } from './audit_record.js';
import { writeFenced } from './fence.js';
import type { ZooKeeperLink } from './link.js';

/** How many records one reading looks at, at the most; asked for side by side. */
const MOST_READ = 2_000;
const AT_ONCE = 100;

/** The records at `<root>/audit`, and what the stores of this controller add to them. */
export interface ZooKeeperAudit extends AuditStore {
  readonly log: AuditLog;
}

/** The store at `<root>/audit`, which the first record creates. */
export function createAuditStore(
  link: ZooKeeperLink,
  { root, bounds = AUDIT_BOUNDS }: { readonly root: string; readonly bounds?: AuditBounds },
): ZooKeeperAudit {
  return new AuditInZooKeeper(link, root, new AuditLog(link, root, bounds));
}

class AuditInZooKeeper implements ZooKeeperAudit {
  readonly log: AuditLog;
  readonly #link: ZooKeeperLink;
  readonly #root: string;

  constructor(link: ZooKeeperLink, root: string, log: AuditLog) {
    this.#link = link;
    this.#root = root;
    this.log = log;
  }

  async page(query: AuditQuery): Promise<Result<AuditPage, string>> {
    const { service } = query;
    const candidates = await (service === null
      ? this.#numbersOfAll(query)
      : this.#numbersOfService(service, query));
    if (!candidates.ok) return candidates;
    const all = candidates.value;
    const items: AuditRecord[] = [];
    for (let at = 0; at < Math.min(all.length, MOST_READ); at += AT_ONCE) {
      const wanted = all.slice(at, at + AT_ONCE);
      const chunk = await (service === null ? this.#readLog(wanted) : this.#readRing(service, wanted));
      if (!chunk.ok) return chunk;
      for (const record of chunk.value) {
        if (record === null || !isAsked(record, query)) continue;
        items.push(record);
        if (items.length === query.limit) return ok({ items, next: nextOf(all, record.n) });
      }
      // Clocks of two leaders may differ by a little, so a single older one is not the end.
      const found = chunk.value.filter((one) => one !== null);
      const isOlder = ({ at: moment }: AuditRecord): boolean =>
        Date.parse(moment) < (query.since ?? -Infinity);
      if (found.length > 0 && found.every(isOlder)) return ok({ items, next: null });
    }
    return ok({ items, next: all.length > MOST_READ ? (all[MOST_READ - 1] ?? null) : null });
  }

  async record(n: number): Promise<Result<AuditRecord | null, string>> {
    const read = await this.#readLog([n]);
    if (!read.ok) return read;
    const record = read.value[0] ?? null;
    if (record?.undo.kind !== 'apart') return ok(record);
    const undo = await this.#undoOf(n);
    return undo.ok ? ok({ ...record, undo: undo.value }) : undo;
  }

  /** What undoes a record, if that is kept still. */
  async #undoOf(n: number): Promise<Result<AuditRecord['undo'], string>> {
    const { connection } = this.#link;
    if (connection === null) return err('no connection to ZooKeeper');
    const node = await connection.getData(this.log.undoPathOf(n));
    if (!node.ok) return node.error.kind === 'no_node' ? ok(TOO_OLD) : err(node.error.message);
    const parsed = parseUndo(node.value.data);
    return parsed.ok ? parsed : ok({ kind: 'none', why: `what undoes it cannot be read: ${parsed.error}` });
  }

  async following(after: number, most: number): Promise<Result<readonly AuditRecord[], string>> {
    const span = await this.#span();
    if (!span.ok) return span;
    const found: AuditRecord[] = [];
    for (let n = Math.max(after + 1, span.value.first); n <= span.value.last && found.length < most;) {
      const wanted = Math.min(AT_ONCE, span.value.last - n + 1, most - found.length);
      const read = await this.#readLog(Array.from({ length: wanted }, (_, at) => n + at));
      if (!read.ok) return read;
      found.push(...read.value.flatMap((one) => one ?? []));
      n += wanted;
    }
    return ok(found);
  }

  async append(term: Term, entry: AuditEntry): Promise<Result<null, WriteFailure>> {
    const written = await this.log.append(entry, (steps) => writeFenced(this.#target, term, [], steps));
    return written.ok ? ok(null) : written;
  }

  async newest(): Promise<Result<number, string>> {
    const span = await this.#span();
    return span.ok ? ok(span.value.last) : span;
  }

  goOnAfter(n: number): void {
    this.log.goOnAfter(n);
  }

  async restore(term: Term, records: readonly AuditRecord[]): Promise<Result<null, WriteFailure>> {
    const { connection } = this.#link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const last = await this.newest();
    if (!last.ok) return err({ kind: 'unavailable', reason: last.error });
    const done = await restoreAudit(records, {
      ...{ connection, log: this.log, last: last.value },
      read: (wanted) => this.#readLog(wanted),
      write: (changes, steps) => writeFenced(this.#target, term, changes, steps),
    });
    this.log.forget();
    return done;
  }

  async tend(term: Term): Promise<void> {
    const { connection } = this.#link;
    if (connection !== null)
      await pruneAudit(connection, this.log, (gone) => writeFenced(this.#target, term, gone));
  }

  get #target() {
    return { link: this.#link, root: this.#root, folder: this.log.folder, known: () => undefined };
  }

  /** The numbers that a question may find, newest first. */
  async #numbersOfAll({ before }: AuditQuery): Promise<Result<readonly number[], string>> {
    const span = await this.#span();
    if (!span.ok) return span;
    const { first, last } = span.value;
    const newest = Math.min(last, (before ?? Infinity) - 1);
    // One more than is looked at: it says that there is more.
    const count = Math.max(0, Math.min(newest - first + 1, MOST_READ + 1));
    return ok(Array.from({ length: count }, (_, at) => newest - at));
  }

  async #numbersOfService(
    service: string,
    { before }: AuditQuery,
  ): Promise<Result<readonly number[], string>> {
    const { connection } = this.#link;
    if (connection === null) return err('no connection to ZooKeeper');
    const path = `${this.log.folder}/services/${service}`;
    void connection.sync(path); // answered in order, so the read below is not of the past
    const ring = await connection.getChildren(path);
    if (!ring.ok) return ring.error.kind === 'no_node' ? ok([]) : err(ring.error.message);
    return ok(
      numbers(ring.value.names)
        .filter((n) => n < (before ?? Infinity))
        .toReversed(),
    );
  }

  /** The numbers of the oldest and the newest record; 1 and 0 where there is none. */
  async #span(): Promise<Result<{ readonly first: number; readonly last: number }, string>> {
    const { connection } = this.#link;
    if (connection === null) return err('no connection to ZooKeeper');
    const { folder, bounds } = this.log;
    void connection.sync(folder); // answered in order, so the reads below are not of the past
    const [head, pages] = await Promise.all([
      connection.getData(`${folder}/head`),
      connection.getChildren(`${folder}/log`),
    ]);
    if (!head.ok) return head.error.kind === 'no_node' ? ok({ first: 1, last: 0 }) : err(head.error.message);
    if (!pages.ok) return err(pages.error.message);
    const known = numbers(pages.value.names);
    const [oldest, newest] = [known[0] ?? 0, known.at(-1) ?? 0];
    const counted = numberIn(head.value.data);
    const last = counted > 0 || known.length === 0 ? counted : (newest + 1) * bounds.page - 1;
    return ok({ first: Math.max(1, oldest * bounds.page), last });
  }

  #readLog(wanted: readonly number[]): Promise<Result<readonly (AuditRecord | null)[], string>> {
    return this.#read(wanted.map((n) => this.log.pathOf(n)));
  }

  /** What the ring of a service has of these; what only the log has is read there. */
  async #readRing(
    service: string,
    wanted: readonly number[],
  ): Promise<Result<readonly (AuditRecord | null)[], string>> {
    const copies = await this.#read(wanted.map((n) => this.log.pathIn(service, n)));
    if (!copies.ok) return copies;
    const named = wanted.filter((_, at) => copies.value[at] === null);
    const read = await this.#readLog(named);
    if (!read.ok) return read;
    const found = new Map(read.value.flatMap((one) => (one === null ? [] : [[one.n, one] as const])));
    return ok(
      copies.value.map((copy, at) => {
        const record = found.get(wanted[at] ?? 0);
        return copy ?? (record === undefined ? null : copyFor(service, record));
      }),
    );
  }

  /** The records at `paths`, in their order; null where there is none, or one that cannot be read. */
  async #read(paths: readonly string[]): Promise<Result<readonly (AuditRecord | null)[], string>> {
    const { connection } = this.#link;
    if (connection === null) return err('no connection to ZooKeeper');
    const answers = await Promise.all(paths.map((path) => connection.getData(path)));
    const records: (AuditRecord | null)[] = [];
    for (const [at, answer] of answers.entries()) {
      if (!answer.ok && answer.error.kind !== 'no_node')
        return err(`${paths[at] ?? ''}: ${answer.error.message}`);
      const isThere = answer.ok && answer.value.data.length > 0;
      const parsed = isThere ? parseAuditRecord(answer.value.data) : ok(null);
      if (!parsed.ok)
        this.#link.log.warn({ path: paths[at], reason: parsed.error }, 'audit record is damaged');
      records.push(parsed.ok ? parsed.value : null);
    }
    return ok(records);
  }
}

/** Where the next page begins after the record `n`; null if it was the last that may be found. */
function nextOf(all: readonly number[], n: number): number | null {
  return all.at(-1) === n ? null : n;
}
