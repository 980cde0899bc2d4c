import type { Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { etagOf, versionIn } from './etag.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Committed, NodeStat, OperationFailure, TransactionOperation } from './protocol.js';

/** Where the epoch is; its znode version is the fence of every write. */
export function epochPath(root: string): string {
  return `${root}/epoch`;
}

/** What a change expects where it does not matter what is there. */
export const ANY = Symbol('any');

/** One node to write. */
export interface NodeChange {
  readonly path: string;
  /** Null = the node goes. */
  readonly data: Buffer | null;
  /** The etag that the node must have; null = it must not exist. */
  readonly etag: string | null | typeof ANY;
  /** The record that it is of: a conflict names it. */
  readonly name: string;
}

/** What a write has made of the nodes. */
export interface WrittenNodes {
  readonly nodes: ReadonlyMap<string, TreeNode>;
  readonly removed: readonly string[];
  readonly zxid: string;
}

/** Where the truth is, and what is known of it: `known` is what was read at a path last. */
export interface WriteTarget {
  readonly link: ZooKeeperLink;
  readonly root: string;
  /** The folder of the records: while it is missing nothing can be written, and trying again does not help. */
  readonly folder: string;
  readonly known: (path: string) => NodeStat | undefined;
}

/** A change of whatever is there may find it there, or missing, against what was known: then the other way is tried. */
const TRIES = 3;
const NOTHING = Buffer.alloc(0);

/** What a conflict names where the record of the change could not be added: nothing was written. */
export const AUDIT_CONFLICT = '@audit';

/**
 * Makes all changes or none, in one transaction that begins with the check of the term: the one way in which a controller
 * writes. No changes are a check of the term alone. `audit` writes the record of the changes; the transaction is sent before
 * this returns, so that two calls are in the order of their records.
 */
export async function writeFenced(
  target: WriteTarget,
  term: Term,
  changes: readonly NodeChange[],
  audit: readonly TransactionOperation[] = [],
): Promise<Result<WrittenNodes, WriteFailure>> {
  const isThere = new Map<string, boolean>();
  for (const { path, data, etag } of changes)
    if (etag === ANY) isThere.set(path, data === null || target.known(path) !== undefined);
  for (let round = 0; round < TRIES; round += 1) {
    const { connection } = target.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const steps: TransactionOperation[] = [
      { kind: 'check', path: epochPath(target.root), version: term.version },
      ...audit,
    ];
    /** For each step, which change it is of. */
    const owners: Owner[] = [null, ...audit.map((): Owner => AUDIT_CONFLICT)];
    for (const change of changes) {
      const own = stepsOf(change, target, isThere);
      if (own === null) return err({ kind: 'conflict', name: change.name });
      steps.push(...own);
      owners.push(...own.map(() => change));
    }
    const answer = await connection.transaction(steps);
    if (answer.ok) return ok(writtenBy(steps, answer.value));
    const failure = meaningOf(answer.error, owners, target.folder);
    const found = 'found' in failure ? failure : null;
    if (found === null) return err(failure as WriteFailure);
    isThere.set(found.path, found.found);
  }
  return err({ kind: 'conflict' });
}

/** Null = the check of the term. */
type Owner = NodeChange | typeof AUDIT_CONFLICT | null;

/** The steps of one change; null if it is plain that its etag is of another node. */
function stepsOf(
  { path, data, etag }: NodeChange,
  { known }: WriteTarget,
  isThere: ReadonlyMap<string, boolean>,
): readonly TransactionOperation[] | null {
  const missing = etag === ANY ? isThere.get(path) === false : etag === null;
  if (missing) {
    // A create answers without a stat, so the data is set in a second step, whose stat makes the etag.
    if (data === null) return [];
    return [
      { kind: 'create', path, data: NOTHING },
      { kind: 'set', path, data, version: etag === ANY ? -1 : 0 },
    ];
  }
  const version = typeof etag === 'string' ? versionIn(etag, known(path)) : -1;
  if (version === null) return null;
  return [data === null ? { kind: 'remove', path, version } : { kind: 'set', path, data, version }];
}

/** What a refused or unanswered transaction means; of a node whose presence did not matter, whether it was found. */
function meaningOf(
  failure: OperationFailure,
  owners: readonly Owner[],
  folder: string,
): WriteFailure | { readonly found: boolean; readonly path: string } {
  const { kind, message } = failure;
  if (kind === 'lost' || kind === 'too_large' || failure.operation === undefined)
    return { kind: 'unavailable', reason: message };
  const change = owners[failure.operation] ?? null;
  if (change === null) {
    if (kind === 'bad_version') return { kind: 'fenced' };
    return { kind: 'unavailable', reason: `the epoch cannot be checked: ${message}` };
  }
  const isConflict = kind === 'bad_version' || kind === 'node_exists' || kind === 'no_node';
  if (change === AUDIT_CONFLICT)
    return isConflict
      ? { kind: 'conflict', name: change }
      : { kind: 'unavailable', reason: `audit: ${message}` };
  const { path, etag, name } = change;
  const isNew = owners.lastIndexOf(change) > owners.indexOf(change);
  const folderIsMissing = kind === 'no_node' && isNew && path.slice(0, path.lastIndexOf('/')) === folder;
  if (folderIsMissing) return { kind: 'unavailable', reason: `${folder} does not exist` };
  if (etag === ANY && (kind === 'no_node' || kind === 'node_exists'))
    return { found: kind === 'node_exists', path };
  if (isConflict) return { kind: 'conflict', name };
  return { kind: 'unavailable', reason: `${name}: ${message}` };
}

function writtenBy(steps: readonly TransactionOperation[], { stats, zxid }: Committed): WrittenNodes {
  const nodes = new Map<string, TreeNode>();
  const removed: string[] = [];
  for (const [index, step] of steps.entries()) {
    const stat = stats[index];
    if (step.kind === 'set' && stat) nodes.set(step.path, { ...stat, data: step.data });
    if (step.kind === 'remove') removed.push(step.path);
  }
  return { nodes, removed, zxid };
}

/** The etag that a write gave to the node at `path`; null if it has removed it. */
export function etagIn(written: WrittenNodes, path: string): string | null {
  const node = written.nodes.get(path);
  return node ? etagOf(node) : null;
}
