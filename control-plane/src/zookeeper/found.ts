import type { Result } from '../model/result.js';
import type { TreeNode } from './mirror.js';

/** The nodes of one name, as they were read. Places are relative to the name's own node, which is ''. */
export interface Found<Stored> {
  readonly name: string;
  readonly nodes: ReadonlyMap<string, TreeNode>;
  /** Place → why the node there could not be read; `nodes` then has what was known of it before. */
  readonly refused: ReadonlyMap<string, string>;
  /** Undefined where there is no node. */
  readonly decode: (place: string) => Result<Stored, string> | undefined;
}

/** What was read below `folder`, by the first name below it. */
export function groupByName<Stored>(
  folder: string,
  read: { readonly nodes: ReadonlyMap<string, TreeNode>; readonly refused: ReadonlyMap<string, string> },
  decode: (name: string, path: string, node: TreeNode) => Result<Stored, string>,
): ReadonlyMap<string, Found<Stored>> {
  interface Group extends Found<Stored> {
    readonly nodes: Map<string, TreeNode>;
    readonly refused: Map<string, string>;
  }
  const groups = new Map<string, Group>();
  const newGroup = (name: string): Group => {
    const nodes = new Map<string, TreeNode>();
    const decodeAt = (place: string): Result<Stored, string> | undefined => {
      const node = nodes.get(place);
      const path = place === '' ? `${folder}/${name}` : `${folder}/${name}/${place}`;
      return node && decode(name, path, node);
    };
    return { name, nodes, refused: new Map(), decode: decodeAt };
  };
  const placeOf = (path: string): readonly [Group, string] | null => {
    if (!path.startsWith(`${folder}/`)) return null;
    const [name = '', ...rest] = path.slice(folder.length + 1).split('/');
    const group = groups.get(name) ?? newGroup(name);
    groups.set(name, group);
    return [group, rest.join('/')];
  };
  for (const [path, node] of read.nodes) {
    const found = placeOf(path);
    found?.[0].nodes.set(found[1], node);
  }
  for (const [path, reason] of read.refused) {
    const found = placeOf(path);
    found?.[0].refused.set(found[1], reason);
  }
  return groups;
}

/** The first names below `folder` that these paths are at or below. */
export function namesOf(folder: string, paths: Iterable<string>): ReadonlySet<string> {
  const below = [...paths].filter((path) => path.startsWith(`${folder}/`));
  return new Set(below.map((path) => path.slice(folder.length + 1).split('/', 1)[0] ?? ''));
}
