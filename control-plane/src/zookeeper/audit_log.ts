import {
  boundedEntry,
  copyFor,
  isCopied,
  pageOf,
  withoutUndo,
  type AuditBounds,
  type AuditEntry,
  type AuditRecord,
} from '../model/audit.js';
import type { WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { encodeAuditRecord, encodeUndo } from './audit_record.js';
import { createPath } from './create_path.js';
import { AUDIT_CONFLICT, type WrittenNodes } from './fence.js';
import type { ZooKeeperConnection } from './connection.js';
import type { ZooKeeperLink } from './link.js';
import type { TransactionOperation } from './protocol.js';

/*
 * Where the records of changes are, below <root>/audit:
 *
 *   head                      the number of the newest record; its version is what a writer knew last
 *   log/<page>/<n>            every record, one node each, in pages
 *   undo/<page>/<n>           what undoes it, of the newest records
 *   services/<service>/<n>    a short copy of each record that changed the service
 *
 * A change adds small nodes and rewrites none but `head`. Numbers are the leader's: two changes under way at once expect the
 * versions of `head` one after the other, so if the first is refused, so is the second, and no number is left out.
 */

/** How often a record is numbered anew before its change is refused. */
const TRIES = 20;
const NOTHING = Buffer.alloc(0);

/** Numbers of nodes sort as text, as far as people list them. */
const DIGITS = 10;

/** Makes a change with these steps before its own, in one transaction. */
export type WriteSteps = (
  steps: readonly TransactionOperation[],
) => Promise<Result<WrittenNodes, WriteFailure>>;

/** What the next record follows. */
interface Known {
  last: number;
  /** Of `head`. */
  version: number;
  readonly pages: Set<string>;
  readonly undoPages: Set<string>;
  readonly services: Set<string>;
}

/** Appends records, each in the transaction of its change. All stores of a controller share one. */
export class AuditLog {
  /** `<root>/audit`. */
  readonly folder: string;
  readonly bounds: AuditBounds;
  readonly #link: ZooKeeperLink;
  #known: Promise<Result<Known, string>> | null = null;
  /** The greatest number that this controller ever gave: it is given once, also where ZooKeeper has lost it. */
  #greatest = 0;
  /** Service → records since its ring was last looked at. */
  readonly #grown = new Map<string, number>();

  constructor(link: ZooKeeperLink, root: string, bounds: AuditBounds) {
    this.folder = `${root}/audit`;
    this.bounds = bounds;
    this.#link = link;
  }

  /** The page of a record. */
  pageOf(n: number): string {
    return numbered(pageOf(n, this.bounds));
  }
  pathOf(n: number): string {
    return `${this.folder}/log/${this.pageOf(n)}/${numbered(n)}`;
  }
  undoPathOf(n: number): string {
    return `${this.folder}/undo/${this.pageOf(n)}/${numbered(n)}`;
  }
  pathIn(service: string, n: number): string {
    return `${this.folder}/services/${service}/${numbered(n)}`;
  }

  /**
   * Has `write` make a change together with the record of it; `write` sends the steps that it is given before it waits for
   * anything. A number that somebody else took is no conflict of the change: it is written again with the next one.
   */
  async append(entry: AuditEntry, write: WriteSteps): Promise<Result<WrittenNodes, WriteFailure>> {
    const bounded = boundedEntry(entry);
    for (let tried = 1; ; tried += 1) {
      const reading = (this.#known ??= this.#read());
      const known = await reading;
      if (!known.ok) {
        if (this.#known === reading) this.#known = null;
        return err({ kind: 'unavailable', reason: known.error });
      }
      if (this.#known !== reading) continue;
      const n = known.value.last + 1;
      const written = await write(this.#steps(known.value, bounded));
      if (written.ok) {
        this.#note(bounded.services);
        this.#greatest = Math.max(this.#greatest, n);
        return written;
      }
      // Whatever it was, what was expected of the numbers may not have come.
      if (this.#known === reading) this.#known = null;
      const { error } = written;
      if (error.kind !== 'conflict' || error.name !== AUDIT_CONFLICT || tried === TRIES) return written;
    }
  }

  /** The services whose rings may have grown past their bound. */
  grown(): readonly string[] {
    return [...this.#grown].filter(([, count]) => count >= this.bounds.service / 10).map(([name]) => name);
  }
  /** A ring was looked at. */
  looked(service: string): void {
    this.#grown.set(service, 0);
  }

  /** Records were written into the rings of these. */
  grow(services: readonly string[]): void {
    this.#note(services);
  }

  /** The next record has a number greater than `n`. */
  goOnAfter(n: number): void {
    if (n <= this.#greatest) return;
    this.#greatest = n;
    this.#known = null;
  }

  /** Writes of records that were read elsewhere; what they are named after is known anew. */
  forget(): void {
    this.#known = null;
  }

  #note(services: readonly string[]): void {
    // A service of which this controller knows nothing yet is looked at soon: rings stay bounded through many restarts.
    for (const name of services) this.#grown.set(name, (this.#grown.get(name) ?? this.bounds.service) + 1);
  }

  /** What adds the next record. What is known then expects that it was added. */
  #steps(known: Known, entry: AuditEntry): readonly TransactionOperation[] {
    const record: AuditRecord = { n: known.last + 1, ...entry };
    const steps: TransactionOperation[] = [
      { kind: 'set', path: `${this.folder}/head`, data: headData(record.n), version: known.version },
    ];
    const page = this.pageOf(record.n);
    if (!known.pages.has(page))
      steps.push({ kind: 'create', path: `${this.folder}/log/${page}`, data: NOTHING });
    steps.push({ kind: 'create', path: this.pathOf(record.n), data: encodeAuditRecord(withoutUndo(record)) });
    if (record.undo.kind !== 'none') {
      if (!known.undoPages.has(page))
        steps.push({ kind: 'create', path: `${this.folder}/undo/${page}`, data: NOTHING });
      steps.push({ kind: 'create', path: this.undoPathOf(record.n), data: encodeUndo(record.undo) });
      known.undoPages.add(page);
    }
    for (const service of record.services) {
      if (!known.services.has(service))
        steps.push({ kind: 'create', path: `${this.folder}/services/${service}`, data: NOTHING });
      const data = ringData(service, record);
      steps.push({ kind: 'create', path: this.pathIn(service, record.n), data });
      known.services.add(service);
    }
    known.pages.add(page);
    known.last = record.n;
    known.version += 1;
    return steps;
  }

  /** Reads where the records end; makes what is missing. Five answers, however many records there are. */
  async #read(): Promise<Result<Known, string>> {
    const { connection } = this.#link;
    if (connection === null) return err('no connection to ZooKeeper');
    const paths = ['head', 'log', 'undo', 'services'].map((name) => `${this.folder}/${name}`);
    for (const path of paths) {
      const made = await createPath(connection, path);
      if (!made.ok) return err(`${path}: ${made.error.message}`);
    }
    void connection.sync(this.folder); // answered in order, so the reads below are not of the past
    const [head, ...folders] = await Promise.all([
      connection.getData(`${this.folder}/head`),
      connection.getChildren(`${this.folder}/log`),
      connection.getChildren(`${this.folder}/undo`),
      connection.getChildren(`${this.folder}/services`),
    ]);
    const [pages, undoPages, services] = folders;
    if (!head.ok) return err(head.error.message);
    if (!pages.ok) return err(pages.error.message);
    if (!undoPages.ok) return err(undoPages.error.message);
    if (!services.ok) return err(services.error.message);
    const newest = await this.#newestIn(connection, pages.value.names);
    if (!newest.ok) return newest;
    return ok({
      // A head that was damaged, or restored from an older copy, takes no number twice.
      last: Math.max(numberIn(head.value.data), newest.value, this.#greatest),
      version: head.value.stat.version,
      pages: new Set(pages.value.names),
      undoPages: new Set(undoPages.value.names),
      services: new Set(services.value.names),
    });
  }

  async #newestIn(
    connection: ZooKeeperConnection,
    pages: readonly string[],
  ): Promise<Result<number, string>> {
    const page = numbers(pages).at(-1);
    if (page === undefined) return ok(0);
    const records = await connection.getChildren(`${this.folder}/log/${numbered(page)}`);
    if (records.ok) return ok(numbers(records.value.names).at(-1) ?? 0);
    return records.error.kind === 'no_node' ? ok(0) : err(records.error.message);
  }
}

/** The bytes of a record's node in the ring of a service; none where only the log has the record. */
export function ringData(service: string, record: AuditRecord): Buffer {
  return isCopied(record) ? encodeAuditRecord(withoutUndo(copyFor(service, record))) : NOTHING;
}

/** A number as the name of a node. */
export function numbered(n: number): string {
  return String(n).padStart(DIGITS, '0');
}

/** The numbers among names of nodes, in order; what is no number is somebody else's. */
export function numbers(names: readonly string[]): readonly number[] {
  return names
    .filter((name) => /^\d{10}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** What `head` has: the number of the newest record; 0 for none, or what cannot be read. */
export function numberIn(data: Buffer): number {
  const text = data.toString('latin1');
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/** The bytes of `head`. */
export function headData(n: number): Buffer {
  return Buffer.from(String(n), 'latin1');
}
