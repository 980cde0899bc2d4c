import type { ZooKeeperConnection } from './connection.js';
import type { OperationFailure } from './protocol.js';

/** How a claim or a release ended. */
export type EphemeralOutcome =
  /** It exists, or is gone, as wanted. */
  | { readonly kind: 'done' }
  /** Another session owns the node, and it is not ours to take. */
  | { readonly kind: 'foreign'; readonly owner: string }
  | { readonly kind: 'no_parent' }
  | { readonly kind: 'failed'; readonly failure: OperationFailure };

/** Reports whether a node that another session owns is a leftover of our own. */
export type IsOurs = (data: Buffer) => boolean;

/** Each round has a new cause (the node came or went in between); so many in a row are a fault. */
const ROUNDS = 5;
const DONE = { kind: 'done' } as const;

/**
 * Makes `path` an ephemeral node of this session that has `data`. A leftover of an older session of ours is replaced
 * in one transaction, so nobody ever sees it missing.
 */
export async function claim(
  connection: ZooKeeperConnection,
  path: string,
  data: Buffer,
  isOurs: IsOurs,
): Promise<EphemeralOutcome> {
  for (let round = 0; round < ROUNDS; round++) {
    const created = await connection.create(path, data, { ephemeral: true });
    if (created.ok) return DONE;
    if (created.error.kind === 'no_node') return { kind: 'no_parent' };
    if (created.error.kind !== 'node_exists') return { kind: 'failed', failure: created.error };
    const read = await connection.getData(path);
    if (!read.ok) {
      if (read.error.kind === 'no_node') continue;
      return { kind: 'failed', failure: read.error };
    }
    const { stat, data: found } = read.value;
    const own = stat.ephemeralOwner === connection.sessionId;
    if (own && found.equals(data)) return DONE;
    if (!own && !isOurs(found)) return { kind: 'foreign', owner: stat.ephemeralOwner };
    const replaced = own
      ? await connection.setData(path, data, stat.version)
      : await connection.transaction([
          { kind: 'remove', path, version: stat.version },
          { kind: 'create', path, data, ephemeral: true },
        ]);
    if (replaced.ok) return DONE;
    if (!isRace(replaced.error)) return { kind: 'failed', failure: replaced.error };
  }
  return { kind: 'failed', failure: { kind: 'other', message: `${path} keeps changing`, zxid: '' } };
}

/** Deletes `path` if this session owns it, or an older one of ours did. */
export async function release(
  connection: ZooKeeperConnection,
  path: string,
  isOurs: IsOurs,
): Promise<EphemeralOutcome> {
  for (let round = 0; round < ROUNDS; round++) {
    const read = await connection.getData(path);
    if (!read.ok) return read.error.kind === 'no_node' ? DONE : { kind: 'failed', failure: read.error };
    const { stat, data } = read.value;
    if (stat.ephemeralOwner !== connection.sessionId && !isOurs(data))
      return { kind: 'foreign', owner: stat.ephemeralOwner };
    const removed = await connection.remove(path, stat.version);
    if (removed.ok) return DONE;
    if (!isRace(removed.error)) return { kind: 'failed', failure: removed.error };
  }
  return { kind: 'failed', failure: { kind: 'other', message: `${path} keeps changing`, zxid: '' } };
}

/** The node changed between reading and writing: read again. */
function isRace(failure: OperationFailure): boolean {
  return failure.kind === 'bad_version' || failure.kind === 'no_node' || failure.kind === 'node_exists';
}
