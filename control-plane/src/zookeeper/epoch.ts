import type { Office, Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { createPath } from './create_path.js';
import { epochPath } from './fence.js';
import type { ZooKeeperLink } from './link.js';

/** The office at `<root>/epoch`; taking it creates the node if it is missing. */
export function createOffice(link: ZooKeeperLink, options: { readonly root: string }): Office {
  return { take: (floor) => take(link, epochPath(options.root), floor) };
}

/**
 * Raises the epoch to max(its own + 1, floor), by compare-and-set: of two controllers that take office at once one
 * gets `conflict`. The floor must hold everything else that may have gone ahead (Redis, gateways, unix seconds).
 */
async function take(link: ZooKeeperLink, path: string, floor: number): Promise<Result<Term, WriteFailure>> {
  const { connection } = link;
  if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
  const created = await createPath(connection, path);
  if (!created.ok) return err({ kind: 'unavailable', reason: created.error.message });
  void connection.sync(path); // answered in order, so the read below is not of the past
  const node = await connection.getData(path);
  if (!node.ok) return err({ kind: 'unavailable', reason: node.error.message });
  const own = readEpoch(node.value.data);
  if (own === undefined) link.log.warn({ path }, 'the epoch cannot be read; going by the floor alone');
  const epoch = Math.max((own ?? 0) + 1, floor);
  const written = await connection.setData(path, Buffer.from(String(epoch)), node.value.stat.version);
  if (written.ok) return ok({ epoch, version: written.value.version });
  if (written.error.kind === 'bad_version') return err({ kind: 'conflict' });
  return err({ kind: 'unavailable', reason: written.error.message });
}

/** Empty = never taken = 0; undefined if it is damaged. */
function readEpoch(data: Buffer): number | undefined {
  const text = data.toString('latin1').trim();
  if (text === '') return 0;
  const epoch = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(epoch + 1) ? epoch : undefined;
}
