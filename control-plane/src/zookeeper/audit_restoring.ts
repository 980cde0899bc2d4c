import { withoutUndo, type AuditRecord } from '../model/audit.js';
import type { WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { headData, ringData, type AuditLog } from './audit_log.js';
import { encodeAuditRecord } from './audit_record.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import { ANY, type NodeChange } from './fence.js';
import type { TransactionOperation } from './protocol.js';

/** What is written in one transaction, which takes 1 MB: bytes of the records, and nodes. One record alone may have more. */
const MOST_BYTES = 200_000;
const MOST_NODES = 200;
/** How many are looked for, and written, side by side. */
const READ_AT_ONCE = 200;
const WRITTEN_AT_ONCE = 4;

const NOTHING = Buffer.alloc(0);

/** Where the records go. */
export interface AuditRestoring {
  readonly connection: ZooKeeperConnection;
  readonly log: AuditLog;
  /** The newest number that is there. */
  readonly last: number;
  /** What is at these numbers; null where there is none. */
  readonly read: (wanted: readonly number[]) => Promise<Result<readonly (AuditRecord | null)[], string>>;
  /** Makes all of the changes and steps, or none. */
  readonly write: (
    changes: readonly NodeChange[],
    steps: readonly TransactionOperation[],
  ) => Promise<Result<unknown, WriteFailure>>;
}

/** Writes records where nothing of their numbers is, each with its copies in the rings of its services. */
export async function restoreAudit(
  records: readonly AuditRecord[],
  target: AuditRestoring,
): Promise<Result<null, WriteFailure>> {
  const { connection, log, last, read, write } = target;
  const folders = new Set<string>();
  for (let at = 0; at < records.length; at += READ_AT_ONCE) {
    const wanted = records.slice(at, at + READ_AT_ONCE);
    const present = await read(wanted.map(({ n }) => n));
    if (!present.ok) return err({ kind: 'unavailable', reason: present.error });
    const missing = wanted.filter((_, index) => present.value[index] === null);
    const changes = missing.map((record) => changesOf(record, log));
    for (const { path } of changes.flat()) {
      const folder = path.slice(0, path.lastIndexOf('/'));
      if (folders.has(folder)) continue;
      const made = await createPath(connection, folder);
      if (!made.ok) return err({ kind: 'unavailable', reason: made.error.message });
      folders.add(folder);
    }
    const batches = batchesOf(changes);
    for (let first = 0; first < batches.length; first += WRITTEN_AT_ONCE) {
      const answers = await Promise.all(
        batches.slice(first, first + WRITTEN_AT_ONCE).map((batch) => writeNew(batch, write)),
      );
      for (const answer of answers) if (!answer.ok) return answer;
    }
    log.grow(missing.flatMap(({ services }) => services));
  }
  const newest = records.reduce((most, { n }) => Math.max(most, n), 0);
  if (newest <= last) {
    // Whoever leads no more must hear it, also where nothing was missing.
    const asked = await write([], []);
    return asked.ok ? ok(null) : asked;
  }
  const path = `${log.folder}/head`;
  const raised = await write([{ path, data: headData(newest), etag: ANY, name: 'head' }], []);
  return raised.ok ? ok(null) : raised;
}

/** Creates the nodes; where one is there already, which is damaged or older than the log, each is written whatever is there. */
async function writeNew(
  nodes: readonly NodeChange[],
  write: AuditRestoring['write'],
): Promise<Result<unknown, WriteFailure>> {
  const steps = nodes.map(({ path, data }): TransactionOperation => ({
    kind: 'create',
    path,
    data: data ?? NOTHING,
  }));
  const made = await write([], steps);
  return made.ok || made.error.kind !== 'conflict' ? made : write(nodes, []);
}

function changesOf(record: AuditRecord, log: AuditLog): readonly NodeChange[] {
  const places = [
    { path: log.pathOf(record.n), data: encodeAuditRecord(withoutUndo(record)) },
    ...record.services.map((service) => {
      return { path: log.pathIn(service, record.n), data: ringData(service, record) };
    }),
  ];
  return places.map(({ path, data }) => ({ path, data, etag: ANY, name: path }));
}

/** The nodes of one record are in one transaction. */
function batchesOf(changes: readonly (readonly NodeChange[])[]): readonly (readonly NodeChange[])[] {
  const batches: NodeChange[][] = [];
  let bytes = Infinity;
  for (const nodes of changes) {
    const more = nodes.reduce((sum, { path, data }) => sum + 2 * path.length + (data?.length ?? 0), 0);
    const present = batches.at(-1);
    if (present === undefined || bytes + more > MOST_BYTES || present.length + nodes.length > MOST_NODES) {
      batches.push([...nodes]);
      bytes = more;
    } else {
      present.push(...nodes);
      bytes += more;
    }
  }
  return batches;
}
