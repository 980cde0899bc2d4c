import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';

export type TreeState =
  /**
   * Every node that is read, by path, the root included: the tree's own map, complete until the listener returns. `changed`: the
   * paths at which something may differ since the last complete state. `gap`: answers were missing before this. `refused`: path →
   * why this node could not be read; what `nodes` has of it and below it is what was known last. `unread`: paths at which something has
   * changed that is not read yet; whoever makes one thing of several nodes waits for those that belong to it.
   */
  | {
      readonly status: 'complete';
      readonly nodes: ReadonlyMap<string, TreeNode>;
      readonly changed: ReadonlySet<string>;
      readonly gap: boolean;
      readonly refused: ReadonlyMap<string, string>;
      readonly unread: ReadonlySet<string>;
    }
  | { readonly status: 'unknown'; readonly reason: string }
  /** The root is gone, or another one is in its place, or the server went back in time. */
  | { readonly status: 'data_loss'; readonly reason: string };

export interface TreeOptions {
  /** For logs and reasons. */
  readonly name: string;
  readonly root: string;
  readonly read: (names: readonly string[]) => Reading;
  /** Create the root if it is missing at the first contact; later its absence is data loss in any case. */
  readonly createRoot: boolean;
  /** Gets complete states and the ways to lose them, one at a time. */
  readonly onState: (state: TreeState) => void;
}
