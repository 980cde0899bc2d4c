import type { Lifecycle, LossAware, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';
import { WatchedTree, type TreeState } from './tree.js';

/**
 * The children of one znode, read as a map from name to value and shown to listeners whole; with `read` what is deeper too,
 * under names like `shop/current`. Creates the znode at the first contact. Only a complete reading shows anything; a lost link or a loss of data keeps what was shown last.
 */
export abstract class ChildStore<T> implements Lifecycle, LossAware<ReadonlyMap<string, T>> {
  protected readonly link: ZooKeeperLink;
  protected readonly tree: WatchedTree;
  /** What listeners were told last; null before the first complete reading. */
  protected shown: ReadonlyMap<string, T> | null = null;
  readonly noun: string;
  readonly #folder: string;
  readonly #listeners: ((shown: ReadonlyMap<string, T>) => void)[] = [];
  /** Children that are there and could not be read, by name, and why. What is known of them is what was read last. */
  protected refused: ReadonlyMap<string, string> = new Map();
  #damaged: ReadonlyMap<string, string> = new Map();
  #problem: { readonly path: string; readonly reason: string } | null = null;

  constructor(
    link: ZooKeeperLink,
    name: string,
    folder: string,
    read: (names: readonly string[]) => Reading = (names) =>
      names.length === 0 ? 'list' : names.length === 1 ? 'data' : 'ignore',
  ) {
    this.link = link;
    this.noun = name;
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

  loss(): string | null {
    return this.tree.loss;
  }

  async peek(): Promise<Result<ReadonlyMap<string, T>, string>> {
    const nodes = await this.tree.peek();
    return nodes.ok ? ok(this.valuesOf(this.#childrenIn(nodes.value))) : nodes;
  }

  /** Name → what is wrong with its record, as of the last reading. */
  damaged(): ReadonlyMap<string, string> {
    return this.#damaged;
  }

  /** Why the whole of it could not be read at the last reading, or null. */
  problem(): { readonly path: string; readonly reason: string } | null {
    return this.#problem;
  }

  /** Notes which records are damaged; the controller tells it as problems. */
  protected noteDamage(damaged: ReadonlyMap<string, string>): void {
    const refused = [...this.refused].flatMap(([name, reason]) => {
      const record = this.recordOf(name);
      return record === null ? [] : [[record, `the controller may not read it: ${reason}`] as const];
    });
    this.#damaged = new Map([...damaged, ...refused]);
  }

  /** The record that a child of that name is, or holds; null if nothing depends on it. */
  protected recordOf(name: string): string | null {
    return name;
  }

  /** Where the record of that name stands. */
  pathOf(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** What of `children` can be read, without a trace of the reading. */
  protected abstract valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, T>;

  /** The values of all children of one complete reading. */
  protected abstract readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, T>;

  /** Reads one record past every cache; null if there is none. A damaged one is a failure. */
  protected async readNewest<R>(
    name: string,
    parse: (node: TreeNode) => Result<R, string>,
  ): Promise<Result<R | null, WriteFailure>> {
    const { connection } = this.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const path = this.pathOf(name);
    void connection.sync(path); // answered in order, so the read below is not of the past
    const answer = await connection.getData(path);
    if (answer.ok) {
      const parsed = parse({ ...answer.value.stat, data: answer.value.data });
      if (parsed.ok) return parsed;
      return err({ kind: 'unavailable', reason: `the record at ${path} is damaged: ${parsed.error}` });
    }
    if (answer.error.kind === 'no_node') return ok(null);
    return err({ kind: 'unavailable', reason: answer.error.message });
  }

  /** Tells every listener, unless nothing differs from what was shown. */
  protected show(next: ReadonlyMap<string, T>): void {
    if (this.shown !== null && sameEntries(this.shown, next)) return;
    this.shown = next;
    for (const listener of this.#listeners) {
      try {
        listener(next);
      } catch (error) {
        this.link.log.error({ store: this.noun, error: String(error) }, 'a listener threw');
      }
    }
  }

  #onState(state: TreeState): void {
    if (state.status !== 'complete') return;
    const barred = state.refused.get(this.#folder);
    this.#problem = barred === undefined ? null : { path: this.#folder, reason: barred };
    // What is in it is not known: what was shown last holds.
    if (barred !== undefined) return;
    this.refused = this.#childrenIn(state.refused);
    this.show(this.readAll(this.#childrenIn(state.nodes)));
  }

  #childrenIn<V>(nodes: ReadonlyMap<string, V>): ReadonlyMap<string, V> {
    const prefix = `${this.#folder}/`;
    const children = new Map<string, V>();
    for (const [path, node] of nodes)
      if (path.startsWith(prefix)) children.set(path.slice(prefix.length), node);
    return children;
  }
}

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
