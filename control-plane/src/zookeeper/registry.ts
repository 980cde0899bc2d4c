import type { Log, RegistrySource } from '../model/ports.js';
import { checkName } from '../model/names.js';
import type { RegistryProblem, RegistryState, RegistryView } from '../model/registration.js';
import type { RegistrationFormat, RegistryRoot } from '../model/registry_format.js';
import { ok, type Result } from '../model/result.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';
import { WatchedTree, type TreeState } from './tree.js';
import { composeView, type ParsedNode } from './view.js';

export interface RegistrySourceOptions {
  /** At least one; several may be watched at once, each in its own format. */
  readonly roots: readonly RegistryRoot[];
  /**
   * Create a root that is missing at the first contact (a fresh installation). Default true. After the first contact
   * a missing root is data loss in any case.
   */
  readonly createRoots?: boolean;
}

/** Throws if there is no root. */
export function createRegistrySource(link: ZooKeeperLink, options: RegistrySourceOptions): RegistrySource {
  if (options.roots.length === 0) throw new TypeError('at least one registry root is needed');
  return new TreeRegistrySource(link, options);
}

/** One root: its tree, its format, and the last that was heard of it. */
class WatchedRoot {
  readonly format: RegistrationFormat;
  readonly tree: WatchedTree;
  /** Null until it is first heard of. */
  state: TreeState | null = null;
  #gap = true;
  readonly #root: string;
  /** A node is parsed once, however often it is shown. */
  readonly #parsed = new WeakMap<TreeNode, ParsedNode>();

  constructor(link: ZooKeeperLink, root: RegistryRoot, createRoot: boolean, changed: () => void) {
    this.format = root.format;
    this.#root = root.path;
    this.tree = new WatchedTree(link, {
      name: `registry ${root.path}`,
      root: root.path,
      read: (names) => this.#reading(names),
      createRoot,
      onState: (state) => {
        this.state = state;
        this.#gap ||= state.status !== 'complete' || state.gap;
        changed();
      },
    });
  }

  /** Whether answers were missing since the last call. */
  takeGap(): boolean {
    const gap = this.#gap;
    this.#gap = false;
    return gap;
  }

  /** What the nodes say; badly named services are read no further than their name. */
  parse(
    nodes: ReadonlyMap<string, TreeNode>,
    refused: ReadonlyMap<string, string> = new Map(),
  ): readonly ParsedNode[] {
    const found: ParsedNode[] = [];
    for (const [path, node] of nodes) {
      let parsed = this.#parsed.get(node);
      if (parsed === undefined) this.#parsed.set(node, (parsed = this.#parse(path, node)));
      found.push(parsed);
    }
    for (const [path, reason] of refused) found.push(this.#unread(path, reason, nodes.has(path)));
    return found;
  }

  #namesOf(path: string): readonly string[] {
    return path === this.#root ? [] : path.slice(this.#root === '/' ? 1 : this.#root.length + 1).split('/');
  }

  #reading(names: readonly string[]): Reading {
    const [service] = names;
    if (names.length > 1 && !checkName('service', service).ok) return 'ignore';
    const { kind } = this.format.place(names);
    return kind === 'instance' || kind === 'stray' ? 'data' : kind;
  }

  #parse(path: string, node: TreeNode): ParsedNode {
    const names = this.#namesOf(path);
    const place = this.format.place(names);
    const { data } = node;
    if (place.kind === 'stray')
      return this.format.looksLikeInstance(data)
        ? { kind: 'stray', service: place.service, path }
        : { kind: 'nothing' };
    if (place.kind === 'instance') {
      const name = names.at(-1) ?? '';
      const persistent = isPersistent(node);
      const provider = { service: place.service, name, path, data, incarnation: node.czxid, persistent };
      const result = this.format.parse(provider);
      return { kind: 'instance', result, hint: node.numChildren > 0 ? nested(place.service, path) : null };
    }
    if (place.kind === 'ignore' || place.service === undefined) return { kind: 'nothing' };
    return badName(place.service, path) ?? { kind: 'service', service: place.service };
  }

  #unread(path: string, reason: string, known: boolean): ParsedNode {
    const service = this.#serviceAt(this.#namesOf(path));
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

  /** The service that the node of these names belongs to, by the first above it that stands for one. */
  #serviceAt(names: readonly string[]): string | null {
    for (let depth = 1; depth <= names.length; depth += 1) {
      const place = this.format.place(names.slice(0, depth));
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
    'the node has nodes below it, which are not read: instances stand directly below providers; move them up';
  return { service, path, code: 'nested_node', field: '', message };
}

/** Owned by no session: persistent, or a container, or one with a time to live (the high byte tells). */
function isPersistent({ ephemeralOwner: owner }: TreeNode): boolean {
  return owner === '0000000000000000' || owner === '8000000000000000' || owner.startsWith('ff');
}

class TreeRegistrySource implements RegistrySource {
  readonly #log: Log;
  readonly #roots: readonly WatchedRoot[];
  readonly #listeners: ((state: RegistryState) => void)[] = [];
  #status = '';

  constructor(link: ZooKeeperLink, options: RegistrySourceOptions) {
    this.#log = link.log;
    this.#roots = options.roots.map(
      (root) =>
        new WatchedRoot(link, root, options.createRoots ?? true, () => {
          this.#onChange();
        }),
    );
  }

  onState(listener: (state: RegistryState) => void): void {
    this.#listeners.push(listener);
  }

  start(): Promise<void> {
    for (const root of this.#roots) root.tree.start();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all(this.#roots.map((root) => root.tree.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  acceptDataLoss(): void {
    for (const root of this.#roots) root.tree.acceptLoss();
  }

  loss(): string | null {
    return this.#roots.map((root) => root.tree.loss).find((loss) => loss !== null) ?? null;
  }

  async peek(): Promise<Result<RegistryView, string>> {
    const found: ParsedNode[] = [];
    for (const root of this.#roots) {
      const nodes = await root.tree.peek();
      if (!nodes.ok) return nodes;
      found.push(...root.parse(nodes.value));
    }
    return ok(composeView(found));
  }

  #onChange(): void {
    const states = this.#roots.map((root) => root.state);
    const loss = states.find((state) => state?.status === 'data_loss');
    const unknown = states.find((state) => state?.status === 'unknown');
    const bad = unknown ?? loss;
    if (bad) {
      // Several roots lose the same connection: that is told once.
      const told = `${bad.status} ${bad.reason}`;
      if (this.#status !== told) this.#push(bad);
      this.#status = told;
      return;
    }
    if (states.includes(null)) return;
    const gaps = this.#roots.map((root) => root.takeGap());
    this.#status = '';
    this.#push({ status: 'complete', view: this.#view(), gap: gaps.includes(true) });
  }

  #view(): RegistryView {
    const parsed = this.#roots.flatMap((root) =>
      root.state?.status === 'complete' ? root.parse(root.state.nodes, root.state.refused) : [],
    );
    return composeView(parsed);
  }

  #push(state: RegistryState): void {
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        this.#log.error({ error: String(error) }, 'a registry listener threw');
      }
    }
  }
}
