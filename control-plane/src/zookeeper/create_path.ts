import { ok } from '../model/result.js';
import type { Answer, ZooKeeperConnection } from './connection.js';

/** Creates a persistent node and the ones above it, as far as they are missing. */
export async function createPath(connection: ZooKeeperConnection, path: string): Answer<null> {
  if (path === '/' || path === '') return ok(null);
  for (;;) {
    const created = await connection.create(path, Buffer.alloc(0));
    if (created.ok || created.error.kind === 'node_exists') return ok(null);
    if (created.error.kind === 'no_auth') {
      // The server checks the parent before it looks whether the node is there already.
      const stat = await connection.exists(path);
      return stat.ok && stat.value !== null ? ok(null) : created;
    }
    if (created.error.kind !== 'no_node') return created;
    const above = await createPath(connection, path.slice(0, path.lastIndexOf('/')));
    if (!above.ok) return above;
  }
}
