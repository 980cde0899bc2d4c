import { err, ok, type Result } from '../model/result.js';
import { createPath } from './create_path.js';
import type { ZooKeeperLink } from './link.js';

/**
 * The time of the ZooKeeper server that leads, in milliseconds: the moment of a write of our own to `<root>/clock`. It steers
 * nothing, so it is not under the fence of the office.
 */
export async function readZooKeeperTime(link: ZooKeeperLink, root: string): Promise<Result<number, string>> {
  const { connection } = link;
  if (connection === null) return err('no connection to ZooKeeper');
  const path = `${root}/clock`;
  const written = await connection.setData(path, Buffer.alloc(0), -1);
  if (written.ok) return ok(written.value.mtime);
  if (written.error.kind !== 'no_node') return err(written.error.message);
  const created = await createPath(connection, path);
  if (!created.ok) return err(created.error.message);
  const again = await connection.setData(path, Buffer.alloc(0), -1);
  return again.ok ? ok(again.value.mtime) : err(again.error.message);
}
