import { checkName } from '../model/names.js';
import type { RegistryProblem } from '../model/registration.js';
import type { RegistrationFormat } from '../model/registry_format.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';
import { WatchedTree } from './tree.js';
import type { TreeState } from './tree_state.js';
import type { ParsedNode } from './view.js';

export interface WatchedRootOptions {
  readonly path: string;
  readonly format: RegistrationFormat;
  readonly create: boolean;
  /** Something that `state` or `said` says has changed. */
  readonly changed: () => void;
}

/**
 * One root of the registry: its tree, its format, and what its nodes say. A node is parsed once for each time it changes, so a
 * change costs what changed, however many nodes there are.
 */
export class WatchedRoot {
  readonly tree: WatchedTree;
  readonly #options: WatchedRootOptions;
  readonly #said = new Map<string | null, Map<string, readonly ParsedNode[]>>();
  #changed = new Set<string | null>();
  #state: Exclude<TreeState, { status: 'complete' }> | 'complete' | null = null;
  #gap = true;

  constructor(link: ZooKeeperLink, options: WatchedRootOptions) {
    this.#options = options;
    this.tree = new WatchedTree(link, {
      name: `registry ${options.path}`,
      root: options.path,
      read: (names) => this.#reading(names),
      createRoot: options.create,
      onState: (state) => {
        this.#take(state);
        options.changed();
      },
    });
  }

  /** Whether all is known now, or why not; null until it is first heard of. */
  get state(): Exclude<TreeState, { status: 'complete' }> | 'complete' | null {
    return this.#state;
  }

  /** Whether answers were missing since the last call. */
  takeGap(): boolean {
    const gap = this.#gap;
    this.#gap = false;
    return gap;
  }

  /** The services of which a node has changed since the last call; null means nodes of none. */
  takeChanged(): ReadonlySet<string | null> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** What the nodes of `service` say, as of the last complete state. */
  said(service: string | null): readonly ParsedNode[] {
    return [...(this.#said.get(service)?.values() ?? [])].flat();
  }

  /** What other nodes of this root would say, by service. */
  parse(nodes: ReadonlyMap<string, TreeNode>): ReadonlyMap<string | null, readonly ParsedNode[]> {
    const said = new Map<string | null, ParsedNode[]>();
    for (const [path, node] of nodes) {
      const service = this.#serviceAt(path);
      const list = said.get(service);
      if (list) list.push(this.#parse(path, node));
      else said.set(service, [this.#parse(path, node)]);
    }
    return said;
  }

  #take(state: TreeState): void {
    if (state.status !== 'complete') {
      this.#gap = true;
      this.#state = state;
      return;
    }
    this.#gap ||= state.gap;
    this.#state = 'complete';
    for (const path of state.changed) {
      const service = this.#serviceAt(path);
      this.#changed.add(service);
      const said = this.#said.get(service) ?? new Map<string, readonly ParsedNode[]>();
      this.#said.set(service, said);
      const now = this.#sayingsOf(path, state);
      if (now.length > 0) said.set(path, now);
      else said.delete(path);
      if (said.size === 0) this.#said.delete(service);
    }
  }

  #sayingsOf(
    path: string,
    { nodes, refused }: Extract<TreeState, { status: 'complete' }>,
  ): readonly ParsedNode[] {
    const node = nodes.get(path);
    const reason = refused.get(path);
    return [
      ...(node === undefined ? [] : [this.#parse(path, node)]),
      ...(reason === undefined ? [] : [this.#unread(path, reason, node !== undefined)]),
    ];
  }

  #namesOf(path: string): readonly string[] {
    return path === this.#options.path
      ? []
      : path.slice(this.#options.path === '/' ? 1 : this.#options.path.length + 1).split('/');
  }

  #reading(names: readonly string[]): Reading {
    const [service] = names;
    if (names.length > 1 && !checkName('service', service).ok) return 'ignore';
    const { kind } = this.#options.format.place(names);
    return kind === 'instance' || kind === 'stray' ? 'data' : kind;
  }

  #parse(path: string, node: TreeNode): ParsedNode {
    const names = this.#namesOf(path);
    const place = this.#options.format.place(names);
    const { data } = node;
    if (place.kind === 'stray')
      return this.#options.format.looksLikeInstance(data)
        ? { kind: 'stray', service: place.service, path }
        : { kind: 'nothing' };
    if (place.kind === 'instance') {
      const name = names.at(-1) ?? '';
      const persistent = isPersistent(node);
      const provider = { service: place.service, name, path, data, incarnation: node.czxid, persistent };
      const result = this.#options.format.parse(provider);
      return { kind: 'instance', result, hint: node.numChildren > 0 ? nested(place.service, path) : null };
    }
    if (place.kind === 'ignore' || place.service === undefined) return { kind: 'nothing' };
    return badName(place.service, path) ?? { kind: 'service', service: place.service };
  }

  #unread(path: string, reason: string, known: boolean): ParsedNode {
    const service = this.#serviceAt(path);
    const bad = service === null ? null : badName(service, path);
    if (bad) return bad;
    const kept = known ? 'what was known of it last stays in use' : 'nothing is known of it';
    const message = `the controller may not read this node (${reason}); ${kept}; give the controller READ on it, or delete it`;
    return {
      kind: 'unread',
      node: { path, service, reason },
      problem: { service, path, code: 'unreadable_node', field: '', message },
    };
  }

  /** The service that the node at `path` belongs to, by the first above it that is one's. */
  #serviceAt(path: string): string | null {
    const names = this.#namesOf(path);
    for (let depth = 1; depth <= names.length; depth += 1) {
      const place = this.#options.format.place(names.slice(0, depth));
      if ('service' in place && place.service !== undefined) return place.service;
    }
    return null;
  }
}

function badName(service: string, path: string): ParsedNode | null {
  const checked = checkName('service', service);
  if (checked.ok) return null;
  const { field, message } = checked.error;
  return { kind: 'problem', problem: { service: null, path, code: 'bad_service_name', field, message } };
}

function nested(service: string, path: string): RegistryProblem {
  const message =
    'the node has nodes below it, which are not read: instances are directly below providers; move them up';
  return { service, path, code: 'nested_node', field: '', message };
}

/** Owned by no session: persistent, or a container, or one with a time to live (the high byte shows). */
function isPersistent({ ephemeralOwner: owner }: TreeNode): boolean {
  return owner === '0000000000000000' || owner === '8000000000000000' || owner.startsWith('ff');
}
