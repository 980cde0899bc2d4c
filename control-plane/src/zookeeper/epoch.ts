import type { Office, PresentTerm, Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { createPath } from './create_path.js';
import { epochPath } from './fence.js';
import type { ZooKeeperLink } from './link.js';
import type { ZooKeeperConnection } from './connection.js';
import type { NodeStat } from './protocol.js';

/** Where the office is, and who takes it. */
export interface OfficeOptions {
  readonly root: string;
  /** Unique for each process that may become the leader; letters, digits and hyphens. */
  readonly owner: string;
}

/**
 * The office at `<root>/epoch`; taking it creates the node if it is missing. The node has `<epoch> <owner>`, so that a
 * controller whose `take` had no answer can distinguish its own term from another's.
 */
export function createOffice(link: ZooKeeperLink, { root, owner }: OfficeOptions): Office {
  const path = epochPath(root);
  return {
    take: (floor) => take(link, path, owner, floor),
    present: () => present(link, path, owner),
    isPresent: async ({ epoch, version }) => {
      const newest = await present(link, path, owner);
      if (!newest.ok) return newest;
      return ok(newest.value?.version === version && newest.value.epoch === epoch);
    },
  };
}

/**
 * Raises the epoch to max(its own + 1, floor), by compare-and-set: of two controllers that become the leader at once one
 * gets `conflict`. The floor must contain everything else that may have gone ahead (Redis, gateways, unix seconds).
 */
async function take(
  link: ZooKeeperLink,
  path: string,
  owner: string,
  floor: number,
): Promise<Result<Term, WriteFailure>> {
  const { connection } = link;
  if (connection === null) return err(NO_CONNECTION);
  const created = await createPath(connection, path);
  if (!created.ok) return err({ kind: 'unavailable', reason: `${path}: ${created.error.message}` });
  const node = await readNewest(connection, path);
  if (!node.ok) return node;
  const own = node.value === null ? 0 : node.value.epoch;
  if (own === null) link.log.warn({ path }, 'the epoch cannot be read; going by the floor alone');
  const epoch = Math.max((own ?? 0) + 1, floor);
  const data = Buffer.from(`${String(epoch)} ${owner}`);
  const written = await connection.setData(path, data, node.value?.stat.version ?? 0);
  if (written.ok) return ok({ epoch, version: written.value.version });
  if (written.error.kind === 'bad_version') return err({ kind: 'conflict' });
  return err({ kind: 'unavailable', reason: `${path}: ${written.error.message}` });
}

async function present(
  link: ZooKeeperLink,
  path: string,
  owner: string,
): Promise<Result<PresentTerm | null, WriteFailure>> {
  const { connection } = link;
  if (connection === null) return err(NO_CONNECTION);
  const node = await readNewest(connection, path);
  if (!node.ok) return node;
  if (node.value === null) return ok(null);
  const { epoch, stat } = node.value;
  if (epoch === null) return err({ kind: 'unavailable', reason: `${path} is damaged` });
  return ok({ epoch, version: stat.version, ours: node.value.owner === owner });
}

const NO_CONNECTION: WriteFailure = { kind: 'unavailable', reason: 'no connection to ZooKeeper' };

interface EpochNode {
  /** 0 = never taken; null = damaged. */
  readonly epoch: number | null;
  /** Empty for a node of before owners were written. */
  readonly owner: string;
  readonly stat: NodeStat;
}

/** Null = no such node. Answered in order after a sync, so it is not of the past. */
async function readNewest(
  connection: ZooKeeperConnection,
  path: string,
): Promise<Result<EpochNode | null, WriteFailure>> {
  void connection.sync(path);
  const node = await connection.getData(path);
  if (node.ok) return ok({ ...parseEpoch(node.value.data), stat: node.value.stat });
  if (node.error.kind === 'no_node') return ok(null);
  return err({ kind: 'unavailable', reason: node.error.message });
}

function parseEpoch(data: Buffer): { readonly epoch: number | null; readonly owner: string } {
  const [text = '', owner = ''] = data.toString('latin1').trim().split(' ');
  if (text === '') return { epoch: 0, owner };
  const epoch = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return { epoch: Number.isSafeInteger(epoch + 1) ? epoch : null, owner };
}
