import { err, ok, type Result } from '../model/result.js';
import { atMost, TIDY_MS } from './at_most.js';
import { ChangeWindow } from './change_window.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import { TreeMirror, type TreeNode } from './mirror.js';
import type { NodeStat, WatchEvent } from './protocol.js';
import { readingBelow, readPaths, readTree, type Reading } from './reader.js';
import { Recheck } from './recheck.js';
import { TreeRoot } from './tree_root.js';
import type { TreeOptions, TreeState } from './tree_state.js';

// Longer than other files: one state machine. What could leave it has left: tree_root, change_window, reader, recheck, mirror.

/** How long a first reading chases changes before it shows what it has. */
const CHASE_MS = 2_000;

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
  readonly #root: TreeRoot;
  readonly #window: ChangeWindow;
  readonly #readingOf: (path: string) => Reading;
  #connection: ZooKeeperConnection | null = null;
  #detach: (() => void) | undefined;
  #unlisten: (() => void) | undefined;
  #watchChildren = false;
  #dirty = new Set<string>();
  #synced = false;
  #loss: string | undefined;
  /** A loss was accepted, and nothing has been read completely since. */
  #accepted = false;
  #gap = true;
  /** The last complete state had something unread in it. */
  #shownEarly = false;
  #flushing: Promise<void> | undefined;
  #recheck: Recheck | undefined;
  #closed = false;

  constructor(link: ZooKeeperLink, options: TreeOptions) {
    this.name = options.name;
    this.#link = link;
    this.#options = options;
    this.#root = new TreeRoot(options.root);
    this.#window = new ChangeWindow(link.clock);
    this.#readingOf = readingBelow(options.root, options.read);
  }

  start(): void {
    this.#detach ??= this.#link.attach(this);
  }

  /** No state is shown after this. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#detach?.();
    this.#unlisten?.();
    this.#window.close();
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
    return readTree(connection, this.#options.root, this.#readingOf);
  }

  /** A person says that what is there now is right: the next reading is taken as a first contact. */
  acceptLoss(): void {
    if (this.#loss === undefined) return;
    this.#accepted = true;
    this.#loss = undefined;
    this.#root.forget();
    this.#mirror.clear();
    this.#connection?.kill(`${this.name}: data loss accepted`);
  }

  lost(reason: string): void {
    this.#synced = false;
    this.#connection = null;
    this.#gap = true;
    this.#window.close();
    this.#recheck?.stop();
    this.#show({ status: 'unknown', reason });
  }

  /** What waits for the end of a window is read and shown at once. What comes meanwhile is not waited for. */
  async settled(): Promise<void> {
    await this.#flushing;
    if (this.#dirty.size === 0) return;
    this.#window.close();
    this.#startFlush();
    await this.#flushing;
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
    this.#loss = this.#root.lossAt(connection.zxid) ?? this.#loss;
    if (!this.#root.isKnown && createRoot) {
      const created = await createPath(connection, root);
      if (!created.ok) return err(`${root}: ${created.error.message}`);
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
    this.#loss ??= this.#root.compare(stat);
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
      readingOf: this.#readingOf,
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
    this.#root.sawUpTo(connection.zxid);
    return ok(null);
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
      readingOf: this.#readingOf,
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
    if (!this.#synced || this.#closed || this.#window.isOpen) return;
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
    if (this.#gap || this.#shownEarly || this.#mirror.hasChanged) this.#showComplete();
    this.#openWindow();
  }

  /** Until the window ends, changes are only gathered. */
  #openWindow(): void {
    this.#window.open(() => {
      const more = this.#dirty.size > 0 || this.#gap;
      if (more) this.#startFlush();
      return more;
    });
  }

  #showComplete(): void {
    const gap = this.#gap;
    this.#gap = this.#accepted = false;
    const [changed, refused] = [this.#mirror.takeChanged(), this.#mirror.refused()];
    // ZooKeeper says that something has changed before it answers with what it is: nodes that changed together are read, or in here.
    const unread = new Set(this.#dirty);
    this.#shownEarly = unread.size > 0;
    this.#show({ status: 'complete', nodes: this.#mirror.nodes, changed, gap, refused, unread });
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
