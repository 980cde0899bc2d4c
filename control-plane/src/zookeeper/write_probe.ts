import { epochPath } from './fence.js';
import type { ZooKeeperLink } from './link.js';
import type { TransactionOperation } from './protocol.js';

/** No znode has this version: what begins with it is refused. */
const NO_VERSION = 2_147_483_647;
/** Where a controller makes records, each below its root. */
const PLACES = ['intents', 'gateways', 'releases', 'audit/log'] as const;
const NAME = '@probe';

/**
 * Asks ZooKeeper whether a controller may write below `root`: null, or why not. It sends what a write would be, records to be
 * made in each of its places and the epoch to be raised, in one transaction that must fail at its last operation. ZooKeeper
 * checks them in order, so a refusal of the last one says that the others would have been taken: by a quorum, and under the
 * permissions of the nodes. Nothing is stored, and no watch fires. A place that was never written to is left out.
 */
export function createZooKeeperProbe(
  link: ZooKeeperLink,
  { root }: { readonly root: string },
): () => Promise<string | null> {
  return async () => {
    let tried: readonly TransactionOperation[] = [
      ...PLACES.map((place): TransactionOperation => ({
        kind: 'create',
        path: `${root}/${place}/${NAME}`,
        data: Buffer.alloc(0),
      })),
      { kind: 'set', path: epochPath(root), data: Buffer.alloc(0), version: -1 },
    ];
    for (;;) {
      const { connection } = link;
      if (connection === null) return 'no connection to ZooKeeper';
      const last: TransactionOperation = { kind: 'check', path: '/', version: NO_VERSION };
      const answer = await connection.transaction([...tried, last]);
      if (answer.ok) return 'ZooKeeper took a transaction that it had to refuse';
      const { error } = answer;
      const at = 'operation' in error ? error.operation : undefined;
      if (at === tried.length) return null;
      if (at === undefined) return error.message;
      const refused = tried[at];
      if (error.kind !== 'no_node') return `${refused?.path ?? ''}: ${error.message}`;
      tried = tried.filter((one) => one !== refused);
    }
  };
}
