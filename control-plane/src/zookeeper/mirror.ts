import type { NodeStat } from './protocol.js';

/** A node that is there and could not be read: unknown, not empty. */
interface Refusal {
  readonly reason: string;
  /** The state of the server that refused. */
  readonly zxid: string;
}

/** A node as it was last read. `data` is empty for nodes that are only listed. */
export interface TreeNode extends NodeStat {
  readonly data: Buffer;
}

/**
 * The nodes of a subtree as far as they are known. Answers may be applied in any order: what an answer says is
 * ignored where something newer is already, so an old read never takes back a newer write.
 */
export class TreeMirror {
  readonly #nodes = new Map<string, TreeNode>();
  readonly #children = new Map<string, Set<string>>();
  readonly #refused = new Map<string, Refusal>();
  #changed = new Set<string>();
  #contradicted: string | null = null;

  get(path: string): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  /** Every node by its path: the mirror's own map, which goes on changing. */
  get nodes(): ReadonlyMap<string, TreeNode> {
    return this.#nodes;
  }

  /** Every node by its path, as a copy. */
  snapshot(): ReadonlyMap<string, TreeNode> {
    return new Map(this.#nodes);
  }

  /** Path → why it could not be read, as a copy. What was known of such a node stays. */
  refused(): ReadonlyMap<string, string> {
    return new Map([...this.#refused].map(([path, { reason }]) => [path, reason]));
  }

  refusalOf(path: string): string | undefined {
    return this.#refused.get(path)?.reason;
  }

  /** The children of `path` that are known, be it only by name. */
  childrenOf(path: string): readonly string[] {
    return [...(this.#children.get(path) ?? [])];
  }

  /** What is known at `path` and below it. */
  below(path: string): { readonly nodes: Map<string, TreeNode>; readonly refused: Map<string, string> } {
    const found = { nodes: new Map<string, TreeNode>(), refused: new Map<string, string>() };
    for (const one of [path, ...this.#descendantsOf(path)]) {
      const [node, refusal] = [this.#nodes.get(one), this.refusalOf(one)];
      if (node !== undefined) found.nodes.set(one, node);
      if (refusal !== undefined) found.refused.set(one, refusal);
    }
    return found;
  }

  #descendantsOf(path: string): readonly string[] {
    return this.childrenOf(path).flatMap((child) => [child, ...this.#descendantsOf(child)]);
  }

  /** `path` is there and could not be read, at `zxid`. */
  refuse(path: string, reason: string, zxid: string): void {
    if (this.#refused.get(path)?.reason !== reason) this.#changed.add(path);
    this.#refused.set(path, { reason, zxid });
    this.#siblings(path).add(path);
  }

  /** `path` was read. */
  admit(path: string): void {
    if (this.#refused.delete(path)) this.#changed.add(path);
  }

  /** Whether anything differs since the last `takeChanged`. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** The paths at which something may differ since the last call. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Forgets everything, as after a loss of data: what comes next may be older by its numbers. */
  clear(): void {
    for (const known of [this.#nodes, this.#refused])
      for (const path of known.keys()) this.#changed.add(path);
    this.#nodes.clear();
    this.#children.clear();
    this.#refused.clear();
    this.#contradicted = null;
  }

  /**
   * A node that was read older than it is known, from a server that had come past what is known: its history is another
   * one. Null while there is none.
   */
  get contradicted(): string | null {
    return this.#contradicted;
  }

  /** `path` was read, at `zxid` if it was not reported by an own write. False if what is there is newer. */
  put(path: string, node: TreeNode, zxid?: string): boolean {
    const known = this.#nodes.get(path);
    if (known !== undefined) {
      if (zxid !== undefined && zxid >= known.mzxid && known.mzxid > node.mzxid) this.#contradicted ??= path;
      if (known.mzxid > node.mzxid) return false;
      const same = known.mzxid === node.mzxid && known.czxid === node.czxid;
      // A first child, or a last one that went, changes nothing else of a node.
      if (same && (known.numChildren === 0) === (node.numChildren === 0)) return true;
    }
    this.#nodes.set(path, node);
    this.#siblings(path).add(path);
    this.#changed.add(path);
    return true;
  }

  /** At `zxid` there was no such node, and so nothing under it. */
  drop(path: string, zxid: string): void {
    for (const child of this.childrenOf(path)) this.drop(child, zxid);
    const known = this.#nodes.get(path);
    const refusal = this.#refused.get(path);
    if (known === undefined && refusal === undefined) return;
    if ((known?.mzxid ?? '') > zxid || (refusal?.zxid ?? '') > zxid) return;
    this.#nodes.delete(path);
    this.#refused.delete(path);
    this.#siblings(path).delete(path);
    if (this.#children.get(path)?.size === 0) this.#children.delete(path);
    this.#changed.add(path);
  }

  /** At `zxid` the node's children were exactly `paths`: known others go. */
  keepChildren(path: string, paths: ReadonlySet<string>, zxid: string): void {
    for (const child of this.childrenOf(path)) if (!paths.has(child)) this.drop(child, zxid);
  }

  #siblings(path: string): Set<string> {
    const parent = path.slice(0, path.lastIndexOf('/'));
    let siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, (siblings = new Set()));
    return siblings;
  }
}
