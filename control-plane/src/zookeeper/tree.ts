import type { Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { atMost, TIDY_MS } from './at_most.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import { TreeMirror, type TreeNode } from './mirror.js';
import type { NodeStat, WatchEvent } from './protocol.js';
import { readPaths, type Reading } from './reader.js';
import { Recheck } from './recheck.js';

export type TreeState =
  /**
   * Every node that is read, by path, the root included: the tree's own map, complete until the listener returns. `changed`: the
   * paths at which something may differ since the last complete state. `gap`: answers were missing before this. `refused`: path →
   * why this node could not be read; what `nodes` has of it and below it is what was known last.
   */
  | {
      readonly status: 'complete';
      readonly nodes: ReadonlyMap<string, TreeNode>;
      readonly changed: ReadonlySet<string>;
      readonly gap: boolean;
      readonly refused: ReadonlyMap<string, string>;
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

const FIRST_WINDOW_MS = 50;
const LAST_WINDOW_MS = 800;
/** How long a first reading chases changes before it shows what it has. */
const CHASE_MS = 2_000;

interface Root {
  readonly czxid: string;
  readonly pzxid: string;
  readonly ctime: number;
}

/**
 * Follows a subtree: after every connect it sets its watch, reads everything, then what changed meanwhile, and only
 * then shows one complete state. The first change after a quiet time is shown at once; while changes keep coming
 * they are gathered in windows of 50 → 800 ms. It never shows a partial state.
 */
export class WatchedTree implements LinkUser {
  readonly name: string;
  readonly #link: ZooKeeperLink;
  readonly #options: TreeOptions;
  readonly #mirror = new TreeMirror();
  #connection: ZooKeeperConnection | null = null;
  #detach: (() => void) | undefined;
  #unlisten: (() => void) | undefined;
  #watchChildren = false;
  #dirty = new Set<string>();
  #synced = false;
  #root: Root | undefined;
  #newestZxid = '';
  #loss: string | undefined;
  /** A loss was accepted, and nothing has been read completely since. */
  #accepted = false;
  #gap = true;
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #recheck: Recheck | undefined;
  #windowMs = FIRST_WINDOW_MS;
  #closed = false;

  constructor(link: ZooKeeperLink, options: TreeOptions) {
    this.name = options.name;
    this.#link = link;
    this.#options = options;
  }

  start(): void {
    this.#detach ??= this.#link.attach(this);
  }

  /** No state is shown after this. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#detach?.();
    this.#unlisten?.();
    this.#timer?.stop();
    this.#recheck?.stop();
    const connection = this.#connection;
    this.#connection = null;
    const ends: Promise<unknown>[] = [Promise.resolve(this.#flushing)];
    if (connection?.alive === true && !this.#watchChildren)
      ends.push(connection.removeTreeWatch(this.#options.root));
    await atMost(this.#link.clock, TIDY_MS, Promise.all(ends));
  }

  /** A node as it is known now. */
  get(path: string): TreeNode | undefined {
    return this.#mirror.get(path);
  }

  /** What is known now at `path` and below it. */
  below(path: string): ReturnType<TreeMirror['below']> {
    return this.#mirror.below(path);
  }

  /** Takes in what a write of our own has put there, so that no older read shows the state before it. False if newer is known. */
  put(path: string, node: TreeNode): boolean {
    return this.#mirror.put(path, node);
  }

  /** Takes in that a write of our own has removed a node. */
  drop(path: string, zxid: string): void {
    this.#mirror.drop(path, zxid);
  }

  /** What was lost, or null; after an acceptance until what is there has been read. */
  get loss(): string | null {
    return this.#loss ?? (this.#accepted ? 'a data loss was accepted; what is there is being read' : null);
  }

  /** Reads what is there now and keeps nothing of it; a missing root is an empty answer. */
  async peek(): Promise<Result<ReadonlyMap<string, TreeNode>, string>> {
    const connection = this.#link.connection;
    if (connection === null) return err('no connection to ZooKeeper');
    const { root } = this.#options;
    const mirror = new TreeMirror();
    void connection.sync(root); // answered in order, so the reads below are not of the past
    const read = await readPaths(connection, [root], {
      root,
      readingOf: (path) => this.#readingOf(path),
      mirror,
      watch: false,
      deep: true,
      current: () => connection.alive,
    });
    return read.ok ? ok(mirror.snapshot()) : read;
  }

  /** A person says that what is there now is right: the next reading is taken as a first contact. */
  acceptLoss(): void {
    if (this.#loss === undefined) return;
    this.#accepted = true;
    this.#loss = this.#root = undefined;
    this.#newestZxid = '';
    this.#mirror.clear();
    this.#connection?.kill(`${this.name}: data loss accepted`);
  }

  lost(reason: string): void {
    this.#synced = false;
    this.#connection = null;
    this.#gap = true;
    this.#timer?.stop();
    this.#recheck?.stop();
    this.#timer = undefined;
    this.#show({ status: 'unknown', reason });
  }

  async sync(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    this.#connection = connection;
    this.#synced = false;
    this.#gap = true;
    this.#dirty = new Set();
    this.#listen(connection);
    const ready = await this.#prepare(connection);
    if (!ready.ok) return ready;
    if (this.#loss !== undefined) {
      this.#show({ status: 'data_loss', reason: this.#loss });
      return ok(null);
    }
    const read = await this.#readAll(connection);
    if (!read.ok) return read;
    if (this.#connection !== connection || this.#closed) return err('superseded');
    this.#synced = true;
    this.#recheck = this.#startRecheck(connection);
    this.#showComplete();
    if (this.#dirty.size > 0) this.#openWindow();
    return ok(null);
  }

  #listen(connection: ZooKeeperConnection): void {
    const stopEvents = connection.onEvent((event) => {
      this.#onEvent(connection, event);
    });
    const stopSilence = connection.onSilence(() => {
      this.#onSilence(connection);
    });
    this.#unlisten = () => {
      stopEvents();
      stopSilence();
    };
  }

  /** Watch first, then the root: what changes from here on is not missed. */
  async #prepare(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const { root, createRoot } = this.#options;
    const watched = await connection.addTreeWatch(root);
    this.#watchChildren = !watched.ok && watched.error.kind === 'unimplemented';
    if (!watched.ok && !this.#watchChildren) return err(watched.error.message);
    const caughtUp = await connection.sync(root); // a follower may lag behind what was seen before
    if (!caughtUp.ok) return err(caughtUp.error.message);
    if (connection.zxid < this.#newestZxid)
      this.#loss = `ZooKeeper went back: it is at transaction ${connection.zxid}, ${this.#newestZxid} was seen before`;
    if (this.#root === undefined && createRoot) {
      const created = await createPath(connection, root);
      if (!created.ok) return err(created.error.message);
    }
    return this.#checkRoot(connection);
  }

  async #checkRoot(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const stat = await connection.exists(this.#options.root, this.#watchChildren);
    if (!stat.ok) return err(stat.error.message);
    this.#compareRoot(connection, stat.value);
    if (this.#loss !== undefined) this.#link.log.error({ tree: this.name, reason: this.#loss }, 'data loss');
    return ok(null);
  }

  #compareRoot(connection: ZooKeeperConnection, stat: NodeStat | null): void {
    if (connection !== this.#connection) return; // an answer of before says nothing of now
    this.#loss ??= this.#lossOf(stat);
    if (this.#loss === undefined && stat !== null) this.#root = stat;
  }

  /** A wiped server counts its transactions from the start again, so the root's birth time is part of its identity. */
  #lossOf(stat: NodeStat | null): string | undefined {
    const { root } = this.#options;
    if (stat === null) return `${root} does not exist`;
    if (this.#root === undefined) return undefined;
    // One that was put back may have come past the newest transaction again by what others wrote to it meanwhile.
    if (stat.czxid === this.#root.czxid && stat.ctime === this.#root.ctime)
      return stat.pzxid < this.#root.pzxid ? `ZooKeeper went back: ${root} is older than it was` : undefined;
    return `${root} was created again (transaction ${stat.czxid}, before ${this.#root.czxid})`;
  }

  async #readAll(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const read = await this.#read(connection, [this.#options.root], true);
    if (!read.ok) return read;
    const until = this.#link.clock.monotonic() + CHASE_MS;
    while (this.#dirty.size > 0 && this.#link.clock.monotonic() < until) {
      const chased = await this.#readDirty(connection);
      if (!chased.ok) return chased;
    }
    return this.#loss === undefined ? ok(null) : err(this.#loss);
  }

  #readDirty(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const paths = [...this.#dirty];
    this.#dirty = new Set();
    return this.#read(connection, paths, false);
  }

  /** A tree is deleted from its leaves up: what goes is believed only while the root still exists. */
  async #readDirtyUnderRoot(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const read = await this.#readDirty(connection);
    if (!read.ok) return read;
    const stat = await connection.exists(this.#options.root);
    if (!stat.ok) return err(stat.error.message);
    this.#compareRoot(connection, stat.value);
    return ok(null);
  }

  async #read(
    connection: ZooKeeperConnection,
    paths: readonly string[],
    deep: boolean,
  ): Promise<Result<null, string>> {
    const read = await readPaths(connection, paths, {
      root: this.#options.root,
      readingOf: (path) => this.#readingOf(path),
      mirror: this.#mirror,
      watch: this.#watchChildren,
      deep,
      current: () => this.#connection === connection,
    });
    if (!read.ok) return read;
    const { root } = read.value;
    if (root !== undefined) this.#compareRoot(connection, root);
    const { contradicted } = this.#mirror;
    if (contradicted !== null) this.#loss ??= `ZooKeeper went back: ${contradicted} is older than it was`;
    if (connection.zxid > this.#newestZxid) this.#newestZxid = connection.zxid;
    return ok(null);
  }

  #readingOf(path: string): Reading {
    const { root, read } = this.#options;
    if (path === root) return read([]);
    const prefix = root === '/' ? root : `${root}/`;
    return path.startsWith(prefix) ? read(path.slice(prefix.length).split('/')) : 'ignore';
  }

  /** What changes in silence is found by looking, and then read like any other change. */
  #startRecheck(connection: ZooKeeperConnection): Recheck {
    const { root } = this.#options;
    this.#recheck?.stop();
    const recheck = new Recheck({
      everyMs: this.#link.recheckMs,
      clock: this.#link.clock,
      random: this.#link.random,
      root,
      readingOf: (path) => this.#readingOf(path),
      mirror: this.#mirror,
      connection,
      found: (paths) => {
        if (connection !== this.#connection || this.#loss !== undefined) return;
        for (const path of paths) this.#dirty.add(path);
        this.#startFlush();
      },
    });
    recheck.start();
    return recheck;
  }

  #onEvent(connection: ZooKeeperConnection, event: WatchEvent): void {
    if (connection !== this.#connection || this.#loss !== undefined) return;
    const parent = event.path.slice(0, event.path.lastIndexOf('/'));
    // A node below a leaf is not read, but that the leaf has one is worth knowing.
    const path = this.#readingOf(event.path) !== 'ignore' ? event.path : parent;
    if (path === parent && this.#readingOf(parent) !== 'data') return;
    this.#dirty.add(path);
    this.#startFlush();
  }

  /** Answers were overdue, but the connection stayed up: nothing was missed, yet what comes now follows a silence. */
  #onSilence(connection: ZooKeeperConnection): void {
    if (connection !== this.#connection || this.#loss !== undefined) return;
    this.#gap = true;
    this.#startFlush();
  }

  #startFlush(): void {
    if (!this.#synced || this.#closed || this.#timer !== undefined) return;
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
      if (this.#dirty.size > 0) this.#startFlush();
    });
  }

  async #flush(): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    await Promise.resolve(); // the rest of the events in the same packet
    const read = await this.#readDirtyUnderRoot(connection);
    if (this.#connection !== connection || this.#closed) return;
    if (!read.ok) {
      connection.kill(`${this.name}: ${read.error}`);
      return;
    }
    if (this.#loss !== undefined) {
      this.#synced = false;
      this.#link.log.error({ tree: this.name, reason: this.#loss }, 'data loss');
      this.#show({ status: 'data_loss', reason: this.#loss });
      return;
    }
    if (this.#gap || this.#mirror.hasChanged) this.#showComplete();
    this.#openWindow();
  }

  /** Until the window ends, changes are only gathered. */
  #openWindow(): void {
    this.#timer = this.#link.clock.after(this.#windowMs, () => {
      this.#timer = undefined;
      const more = this.#dirty.size > 0 || this.#gap;
      this.#windowMs = more ? Math.min(LAST_WINDOW_MS, this.#windowMs * 2) : FIRST_WINDOW_MS;
      if (more) this.#startFlush();
    });
  }

  #showComplete(): void {
    const gap = this.#gap;
    this.#gap = this.#accepted = false;
    const [changed, refused] = [this.#mirror.takeChanged(), this.#mirror.refused()];
    this.#show({ status: 'complete', nodes: this.#mirror.nodes, changed, gap, refused });
  }

  #show(state: TreeState): void {
    if (this.#closed) return;
    try {
      this.#options.onState(state);
    } catch (error) {
      this.#link.log.error({ tree: this.name, error: String(error) }, 'a listener threw');
    }
  }
}
