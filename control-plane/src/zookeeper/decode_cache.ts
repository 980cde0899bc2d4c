import type { Result } from '../model/result.js';
import type { TreeNode } from './mirror.js';

/**
 * What nodes were decoded to, so that one that has not changed gives the same object again, however often and in whatever
 * reading it comes.
 */
export class DecodeCache<T> {
  readonly #known = new Map<string, { readonly stamp: string; readonly decoded: Result<T, string> }>();

  get(path: string, node: TreeNode, decode: () => Result<T, string>): Result<T, string> {
    const stamp = `${node.czxid}-${String(node.version)}-${node.mzxid}`;
    const known = this.#known.get(path);
    if (known?.stamp === stamp) return known.decoded;
    const decoded = decode();
    this.#known.set(path, { stamp, decoded });
    return decoded;
  }

  /** Forgets every path that is not among `paths`. */
  keep(paths: { has(path: string): boolean }): void {
    for (const path of this.#known.keys()) if (!paths.has(path)) this.#known.delete(path);
  }

  /** After a loss of data the same stamp may be of another history. */
  clear(): void {
    this.#known.clear();
  }
}
