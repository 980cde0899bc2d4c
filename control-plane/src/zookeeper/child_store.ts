import type { Lifecycle } from '../model/ports.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';
import { WatchedTree, type TreeState } from './tree.js';

/**
 * The children of one znode, read as a map from name to value and shown to listeners whole; with `read` what is deeper too,
 * under names like `shop/current`. Creates the znode at the first contact. Only a complete reading shows anything; a lost link or a loss of data keeps what was shown last.
 */
export abstract class ChildStore<T> implements Lifecycle {
  protected readonly link: ZooKeeperLink;
  protected readonly tree: WatchedTree;
  /** What listeners were told last; null before the first complete reading. */
  protected shown: ReadonlyMap<string, T> | null = null;
  readonly #name: string;
  readonly #folder: string;
  readonly #listeners: ((shown: ReadonlyMap<string, T>) => void)[] = [];

  constructor(
    link: ZooKeeperLink,
    name: string,
    folder: string,
    read: (names: readonly string[]) => Reading = (names) =>
      names.length === 0 ? 'list' : names.length === 1 ? 'data' : 'ignore',
  ) {
    this.link = link;
    this.#name = name;
    this.#folder = folder;
    this.tree = new WatchedTree(link, {
      name,
      root: folder,
      read,
      createRoot: true,
      onState: (state) => {
        this.#onState(state);
      },
    });
  }

  start(): Promise<void> {
    this.tree.start();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.tree.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  onChange(listener: (shown: ReadonlyMap<string, T>) => void): void {
    this.#listeners.push(listener);
  }

  /** After a loss of data: take what stands in ZooKeeper now. */
  acceptDataLoss(): void {
    this.tree.acceptLoss();
  }

  /** The values of all children of one complete reading. */
  protected abstract readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, T>;

  protected pathOf(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Tells every listener, unless nothing differs from what was shown. */
  protected show(next: ReadonlyMap<string, T>): void {
    if (this.shown !== null && sameEntries(this.shown, next)) return;
    this.shown = next;
    for (const listener of this.#listeners) {
      try {
        listener(next);
      } catch (error) {
        this.link.log.error({ store: this.#name, error: String(error) }, 'a listener threw');
      }
    }
  }

  #onState(state: TreeState): void {
    if (state.status !== 'complete') return;
    const prefix = `${this.#folder}/`;
    const children = new Map<string, TreeNode>();
    for (const [path, node] of state.nodes)
      if (path.startsWith(prefix)) children.set(path.slice(prefix.length), node);
    this.show(this.readAll(children));
  }
}

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
