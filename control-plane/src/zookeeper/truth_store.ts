import type { AuditEntry } from '../model/audit.js';
import type { Term, TruthStore, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import type { AuditLog, WriteSteps } from './audit_log.js';
import { DecodeCache } from './decode_cache.js';
import type { Around, Codec } from './truth_codec.js';
import { etagOf } from './etag.js';
import { etagIn, writeFenced, type NodeChange, type WrittenNodes } from './fence.js';
import { groupByName, namesOf, type Found } from './found.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Reading } from './reader.js';
import { WatchedTree } from './tree.js';
import type { TreeState } from './tree_state.js';

/** Where a store is. */
export interface StorePlace {
  /** The root of the truth. */
  readonly root: string;
  /** What records changes; a store without it refuses a change that has to be recorded. */
  readonly audit?: { readonly log: AuditLog };
}

/** A store of what `codec` describes. */
export function createTruthStore<Shown, Edit, Stored>(
  link: ZooKeeperLink,
  place: StorePlace,
  codec: Codec<Shown, Edit, Stored>,
): TruthStore<Shown, Edit, Stored> {
  return new ZooKeeperTruthStore(link, place, codec);
}

/**
 * The children of one znode, with what is below them where the codec asks for it, by name. Only a complete reading shows
 * anything; a lost link or a loss of data keeps what was shown last.
 */
class ZooKeeperTruthStore<Shown, Edit, Stored> implements TruthStore<Shown, Edit, Stored> {
  readonly noun: string;
  readonly #link: ZooKeeperLink;
  readonly #root: string;
  readonly #audit: AuditLog | null;
  readonly #codec: Codec<Shown, Edit, Stored>;
  readonly #folder: string;
  readonly #tree: WatchedTree;
  readonly #decoded = new DecodeCache<Stored>();
  readonly #listeners: ((shown: ReadonlyMap<string, Shown>) => void)[] = [];
  /** What listeners were shown last; null before the first complete reading. */
  #shown: ReadonlyMap<string, Shown> | null = null;
  #damaged: ReadonlyMap<string, string> = new Map();
  #problem: { readonly path: string; readonly reason: string } | null = null;

  constructor(link: ZooKeeperLink, { root, audit }: StorePlace, codec: Codec<Shown, Edit, Stored>) {
    this.noun = codec.noun;
    this.#link = link;
    this.#root = root;
    this.#audit = audit?.log ?? null;
    this.#codec = codec;
    this.#folder = `${root}/${codec.folder}`;
    this.#tree = new WatchedTree(link, {
      name: codec.noun,
      root: this.#folder,
      read: codec.reading ?? readChildren,
      createRoot: true,
      onState: (state) => {
        this.#onState(state);
      },
    });
  }

  start(): Promise<void> {
    this.#tree.start();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#tree.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  onChange(listener: (shown: ReadonlyMap<string, Shown>) => void): void {
    this.#listeners.push(listener);
  }

  acceptDataLoss(): void {
    this.#decoded.clear();
    this.#tree.acceptLoss();
  }

  loss(): string | null {
    return this.#tree.loss;
  }

  async peek(): Promise<Result<ReadonlyMap<string, Shown>, string>> {
    const nodes = await this.#tree.peek();
    if (!nodes.ok) return nodes;
    const found = this.#found(nodes.value, new Map(), new DecodeCache());
    const shown = [...found.values()].map(
      (one) => [one.name, this.#codec.show(one, undefined).shown] as const,
    );
    return ok(new Map(shown.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))));
  }

  damaged(): ReadonlyMap<string, string> {
    return this.#damaged;
  }

  pathOf(name: string): string {
    return `${this.#folder}/${this.#codec.place?.(name) ?? name}`;
  }

  problem(): { readonly path: string; readonly reason: string } | null {
    return this.#problem;
  }

  async read(name: string): Promise<Result<Stored | null, WriteFailure>> {
    const { connection } = this.#link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const path = this.pathOf(name);
    void connection.sync(path); // answered in order, so the read below is not of the past
    const answer = await connection.getData(path);
    if (!answer.ok && answer.error.kind === 'no_node') return ok(null);
    if (!answer.ok) return err({ kind: 'unavailable', reason: answer.error.message });
    const { stat, data } = answer.value;
    const etag = etagOf(stat);
    const decoded = this.#codec.decode(data, { name, etag });
    if (decoded.ok) return decoded;
    if (this.#codec.substitute) return ok(this.#codec.substitute(name, { etag, ctime: stat.ctime }));
    return err({ kind: 'unavailable', reason: `the record at ${path} is damaged: ${decoded.error}` });
  }

  async write(
    term: Term,
    edits: readonly Edit[],
    entry?: AuditEntry,
  ): Promise<Result<readonly (string | null)[], WriteFailure>> {
    const around: Around<Shown> = {
      root: this.#root,
      at: (place) => `${this.#folder}/${place}`,
      known: (path) => this.#tree.get(path),
      shown: (name) => this.#shown?.get(name),
    };
    const names: string[] = [];
    const changes: NodeChange[] = [];
    for (const edit of edits) {
      const change = this.#codec.change(edit, around);
      if (!change.ok) return err({ kind: 'unavailable', reason: change.error });
      const { name, nodes } = change.value;
      names.push(name);
      changes.push(...nodes.map((one) => ({ ...one, name })));
    }
    const target = { link: this.#link, root: this.#root, folder: this.#folder, known: around.known };
    const written =
      entry === undefined
        ? await writeFenced(target, term, changes)
        : await this.#recorded(entry, (steps) => writeFenced(target, term, changes, steps));
    if (!written.ok) return written;
    const { nodes, removed, zxid } = written.value;
    const prefix = `${this.#folder}/`;
    for (const [path, node] of nodes) if (path.startsWith(prefix)) this.#tree.put(path, node);
    for (const path of removed) if (path.startsWith(prefix)) this.#tree.drop(path, zxid);
    this.#showAgain(names);
    return ok(names.map((name) => etagIn(written.value, this.pathOf(name))));
  }

  #recorded(entry: AuditEntry, write: WriteSteps): Promise<Result<WrittenNodes, WriteFailure>> {
    if (this.#audit !== null) return this.#audit.append(entry, write);
    return Promise.resolve(err({ kind: 'unavailable', reason: `${this.noun}: changes cannot be recorded` }));
  }

  /** Shows what was written before anybody can ask for it. */
  #showAgain(names: readonly string[]): void {
    if (this.#shown === null) return;
    const [shown, damaged] = [new Map(this.#shown), new Map(this.#damaged)];
    for (const name of names) {
      const { nodes, refused } = this.#tree.below(`${this.#folder}/${name}`);
      const found = this.#found(nodes, refused, this.#decoded).get(name);
      if (found) this.#enter(found, shown, damaged);
      else {
        shown.delete(name);
        damaged.delete(name);
      }
    }
    this.#damaged = damaged;
    this.#report(shown);
  }

  #onState(state: TreeState): void {
    if (state.status !== 'complete') return;
    const barred = state.refused.get(this.#folder);
    this.#problem = barred === undefined ? null : { path: this.#folder, reason: barred };
    // What is in it is not known: what was shown last stays shown.
    if (barred !== undefined) return;
    this.#decoded.keep(state.nodes);
    const shown = new Map<string, Shown>();
    const damaged = new Map<string, string>();
    const halfRead = this.#halfRead(state.unread);
    for (const found of this.#found(state.nodes, state.refused, this.#decoded).values())
      if (!halfRead.has(found.name)) this.#enter(found, shown, damaged);
    for (const name of halfRead) {
      const [one, damage] = [this.#shown?.get(name), this.#damaged.get(name)];
      if (one !== undefined) shown.set(name, one);
      if (damage !== undefined) damaged.set(name, damage);
    }
    this.#damaged = damaged;
    this.#report(shown);
  }

  /** The names of which only a part of what changed together may have been read. Not at the first reading, which must show something. */
  #halfRead(unread: ReadonlySet<string>): ReadonlySet<string> {
    return this.#codec.isCompound === true && this.#shown !== null
      ? namesOf(this.#folder, unread)
      : new Set();
  }

  #enter(found: Found<Stored>, shown: Map<string, Shown>, damaged: Map<string, string>): void {
    const { name, refused } = found;
    const one = this.#codec.show(found, this.#shown?.get(name));
    const record = (this.#codec.place?.(name) ?? name).slice(name.length + 1);
    const refusal = refused.get(record) ?? refused.get('');
    const damage = refusal === undefined ? one.damage : `the controller may not read it: ${refusal}`;
    if (one.shown === null) shown.delete(name);
    else shown.set(name, one.shown);
    if (damage === null) damaged.delete(name);
    else damaged.set(name, damage);
  }

  #found(
    nodes: ReadonlyMap<string, TreeNode>,
    refused: ReadonlyMap<string, string>,
    cache: DecodeCache<Stored>,
  ): ReadonlyMap<string, Found<Stored>> {
    return groupByName(this.#folder, { nodes, refused }, (name, path, node) =>
      cache.get(path, node, () => this.#codec.decode(node.data, { name, etag: etagOf(node) })),
    );
  }

  /** Reports to every listener, unless nothing differs from what was shown. */
  #report(next: ReadonlyMap<string, Shown>): void {
    if (this.#shown !== null && sameEntries(this.#shown, next)) return;
    this.#shown = next;
    for (const listener of this.#listeners) {
      try {
        listener(next);
      } catch (error) {
        this.#link.log.error({ store: this.noun, error: String(error) }, 'a listener threw');
      }
    }
  }
}

/** The record is shown as it is; a damaged one as `substitute` says of what was shown last. */
export function showRecord<T>(
  substitute: (found: Found<T>, last: T | undefined) => T | null,
): Codec<T, never, T>['show'] {
  return (found, last) => {
    const decoded = found.decode('');
    if (decoded?.ok === true) return { shown: decoded.value, damage: null };
    return { shown: substitute(found, last), damage: decoded?.error ?? null };
  };
}

function readChildren(names: readonly string[]): Reading {
  return names.length === 0 ? 'list' : names.length === 1 ? 'data' : 'ignore';
}

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
