import { err, ok, type Result } from '../model/result.js';
import type { ZooKeeperConnection } from './connection.js';
import { TreeMirror, type TreeNode } from './mirror.js';
import type { NodeStat, OperationFailure } from './protocol.js';

/** What a tree does with a node: its names below the root decide. */
export type Reading =
  /** Its children are read. */
  | 'list'
  /** Its data is read; it is a leaf. */
  | 'data'
  | 'ignore';

export interface ReadPlan {
  readonly root: string;
  readonly readingOf: (path: string) => Reading;
  /** Where answers go. */
  readonly mirror: TreeMirror;
  /** Set one-shot watches while reading, for servers without recursive ones. */
  readonly watch: boolean;
  /** Read everything below the paths; else only what is not known yet. */
  readonly deep: boolean;
  /** False once the connection is no longer the one to read from: answers are dropped. */
  readonly current: () => boolean;
}

/** Requests under way at once: enough to fill the pipe, few enough for the heartbeat to get through. */
const IN_FLIGHT = 256;
const NO_DATA = Buffer.alloc(0);

/**
 * Reads `paths` and what is below them into the mirror, level by level. A node that is not there is taken out of the
 * mirror; one that this session may not read, or that the server cannot give out, is noted as refused and keeps what was
 * known of it and below it; any other refusal fails the whole. `root` is the root's stat if it was among what was read, null if it is gone.
 */
export async function readPaths(
  connection: ZooKeeperConnection,
  paths: readonly string[],
  plan: ReadPlan,
): Promise<Result<{ readonly root: NodeStat | null | undefined }, string>> {
  let root: NodeStat | null | undefined;
  let failure: string | undefined;
  let level = paths;
  while (level.length > 0 && failure === undefined) {
    const next: string[] = [];
    const queue = level.values();
    const work = async (): Promise<void> => {
      for (const path of queue) {
        if (failure !== undefined) return;
        const read = await readOne(connection, path, plan, next);
        if (!read.ok) failure ??= read.error;
        else if (path === plan.root) root = read.value;
      }
    };
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, level.length) }, work));
    level = next;
  }
  return failure === undefined ? ok({ root }) : err(failure);
}

/** The node's stat, null if it is gone, undefined if it is none of the plan's. */
async function readOne(
  connection: ZooKeeperConnection,
  path: string,
  plan: ReadPlan,
  next: string[],
): Promise<Result<NodeStat | null | undefined, string>> {
  const reading = plan.readingOf(path);
  if (reading === 'ignore') return ok(undefined);
  const answer =
    reading === 'list'
      ? await connection.getChildren(path, plan.watch)
      : await connection.getData(path, plan.watch);
  if (!plan.current()) return err('superseded');
  if (!answer.ok) {
    const refusal = refusalOfOne(answer.error);
    if (refusal !== null) {
      plan.mirror.refuse(path, refusal.reason, refusal.zxid);
      // What is below it is known by name, and may be gone.
      if (plan.deep) next.push(...plan.mirror.childrenOf(path));
      return ok(undefined);
    }
    if (answer.error.kind !== 'no_node') return err(`${path}: ${answer.error.message}`);
    // A missing root is for the tree to check.
    if (path !== plan.root) plan.mirror.drop(path, answer.error.zxid);
    return ok(null);
  }
  const { stat, zxid } = answer.value;
  plan.mirror.admit(path);
  if ('data' in answer.value) {
    plan.mirror.put(path, { ...stat, data: answer.value.data }, zxid);
    return ok(stat);
  }
  plan.mirror.put(path, { ...stat, data: NO_DATA }, zxid);
  const prefix = path === '/' ? '/' : `${path}/`;
  const children = new Set(answer.value.names.map((name) => prefix + name));
  plan.mirror.keepChildren(path, children, zxid);
  for (const child of children) if (plan.deep || isNew(plan.mirror, child)) next.push(child);
  return ok(stat);
}

function isNew(mirror: TreeMirror, path: string): boolean {
  return mirror.get(path) === undefined && mirror.refusalOf(path) === undefined;
}

/** What a refusal says that is of this node and not of the server, so that it must not matter to the others; null if it does not. */
export function refusalOfOne(
  failure: OperationFailure,
): { readonly reason: string; readonly zxid: string } | null {
  if (failure.kind !== 'no_auth' && failure.kind !== 'unreadable') return null;
  return { reason: failure.message, zxid: failure.zxid };
}

/** How the node at a path is read, by its names below `root`; what is not below it is ignored. */
export function readingBelow(
  root: string,
  read: (names: readonly string[]) => Reading,
): (path: string) => Reading {
  const prefix = root === '/' ? root : `${root}/`;
  return (path) => {
    if (path === root) return read([]);
    return path.startsWith(prefix) ? read(path.slice(prefix.length).split('/')) : 'ignore';
  };
}

/** Reads everything below `root` as it is now, past what any mirror shows; a missing root is an empty answer. */
export async function readTree(
  connection: ZooKeeperConnection,
  root: string,
  readingOf: (path: string) => Reading,
): Promise<Result<ReadonlyMap<string, TreeNode>, string>> {
  const mirror = new TreeMirror();
  void connection.sync(root); // answered in order, so the reads below are not of the past
  const plan = { root, readingOf, mirror, watch: false, deep: true, current: () => connection.alive };
  const read = await readPaths(connection, [root], plan);
  return read.ok ? ok(mirror.snapshot()) : read;
}
