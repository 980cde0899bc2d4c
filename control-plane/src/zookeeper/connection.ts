import type { Clock, Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { NO_ACCESS, type Access } from './access.js';
import { aclAt, type AclEntry, type AclRules } from './acl.js';
import { addedCredentials, type Credential } from './credentials.js';
import { DisposableClient, type Done } from './client.js';
import {
  failureOf,
  type Committed,
  type NodeStat,
  type OperationFailure,
  type RawRequest,
  type ReadChildren,
  type ReadNode,
  type ServerAddress,
  type TransactionOperation,
  type WatchEvent,
} from './protocol.js';

// Longer than other files: thirteen operations, and the one state machine that they share.

export interface ConnectOptions {
  readonly server: ServerAddress;
  readonly sessionTimeoutMs: number;
  /** From the first packet to the session. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Default: no credentials, plain TCP. */
  readonly access?: Access;
  /** Who may do what with the nodes that are created. It counts where there are credentials. */
  readonly acl?: AclRules;
  /** Gives up while opening. */
  readonly signal?: AbortSignal;
}

/** The answer to one operation; a rejection never comes. */
export type Answer<T> = Promise<Result<T, OperationFailure>>;

/** ZooKeeper refuses packets of 1 MiB by dropping the connection, so nothing larger is sent. */
const MAX_REQUEST_BYTES = 1_000_000;
/** What a request costs besides its path and data, and what an entry of an ACL does; generous. */
const OPERATION_BYTES = 128;
const ACL_ENTRY_BYTES = 256;
/** An answer that took longer than this means that the server, or this process, was stopped. */
const SILENCE_MS = 500;
const CLOSE_MS = 500;

interface Waiting {
  readonly since: number;
  readonly give: (failure: OperationFailure) => void;
}

/** Opens one connection with a session of its own. It is used until it is lost, never reconnected. */
export async function connect(options: ConnectOptions): Promise<Result<ZooKeeperConnection, string>> {
  let connection: ZooKeeperConnection;
  try {
    connection = new ZooKeeperConnection(options);
  } catch (error) {
    // A certificate or key that cannot be used.
    return err(`TLS: ${error instanceof Error ? error.message : String(error)}`);
  }
  const abort = (): void => {
    connection.kill('closed');
  };
  options.signal?.addEventListener('abort', abort);
  const failure = await connection.opened;
  options.signal?.removeEventListener('abort', abort);
  return failure === null ? ok(connection) : err(failure);
}

/**
 * One connection = one session = one disposable client. Every operation answers with a value, within deadlines: a
 * server that owes an answer and makes no sound for a third of the session is given up, and so is one that leaves a
 * single operation open for a whole session. Answers and watch events keep the server's order.
 */
export class ZooKeeperConnection {
  /** Resolves with null once the session is established, else with the reason why it never did. */
  readonly opened: Promise<string | null>;
  /** Resolves with the reason once the connection is of no more use. */
  readonly lost: Promise<string>;
  readonly #client: DisposableClient;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  readonly #eventListeners = new Set<(event: WatchEvent) => void>();
  readonly #silenceListeners = new Set<() => void>();
  readonly #deadline: Timer;
  readonly #acl: AclRules;
  /** All that this session was given, and those by which nodes are created. */
  #given: readonly Credential[];
  #credentials: readonly Credential[];
  #phase: 'opening' | 'open' | 'closing' | 'dead' = 'opening';
  #sessionTimeoutMs: number;
  #heardAt: number;
  #beatAt = 0;
  #silentAt = -Infinity;
  #ticker: Timer | undefined;
  #settleOpened: (failure: string | null) => void = () => undefined;
  #settleLost: (reason: string) => void = () => undefined;

  constructor(options: ConnectOptions) {
    const { server, clock, sessionTimeoutMs, access = NO_ACCESS } = options;
    this.#clock = clock;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#given = this.#credentials = access.credentials;
    this.#acl = options.acl ?? {};
    this.#heardAt = clock.monotonic();
    this.opened = new Promise((resolve) => (this.#settleOpened = resolve));
    this.lost = new Promise((resolve) => (this.#settleLost = resolve));
    this.#client = new DisposableClient(
      { server, sessionTimeoutMs, access },
      {
        opened: (granted) => {
          this.#onOpen(granted);
        },
        heard: () => {
          this.#onBytes();
        },
        event: (event) => {
          for (const listener of this.#eventListeners) listener(event);
        },
        ended: (reason) => {
          this.kill(reason);
        },
      },
    );
    // After the client: where that cannot be made, nothing is left that goes off later.
    this.#deadline = clock.after(options.connectTimeoutMs, () => {
      this.kill(`no session from ${server.host}:${server.port} within ${options.connectTimeoutMs} ms`);
    });
  }

  get alive(): boolean {
    return this.#phase === 'open';
  }

  /** As granted by the server. */
  get sessionTimeoutMs(): number {
    return this.#sessionTimeoutMs;
  }

  /** 16 hex digits, as in `ephemeralOwner`. */
  get sessionId(): string {
    return this.#client.sessionId;
  }

  /** By whose right nodes are created now; empty = open to everybody. */
  get credentials(): readonly Credential[] {
    return this.#credentials;
  }

  /** From now on nodes are created for these users. Those that are new join the session; none leaves it before its end. */
  useCredentials(credentials: readonly Credential[]): void {
    if (this.#phase !== 'open') return;
    for (const one of addedCredentials(this.#given, credentials)) this.#client.addCredential(one);
    this.#given = [...this.#given, ...addedCredentials(this.#given, credentials)];
    this.#credentials = credentials;
  }

  /** The ACL that a node is created with at `path`. */
  aclAt(path: string): readonly AclEntry[] {
    return aclAt(path, this.#acl, this.#credentials);
  }

  /** The state of the server that its newest answer spoke of, 16 hex digits. */
  get zxid(): string {
    return this.#client.zxid;
  }

  /** When (monotonic ms) the server was heard last. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** When (monotonic ms) an overdue answer last came: what was seen before must be doubted. */
  get silentAt(): number {
    return this.#silentAt;
  }

  /** Listens to every watch of this connection; the listener only takes note. Returns the way to stop. */
  onEvent(listener: (event: WatchEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  /** Called when an overdue answer comes after all; the listener only takes note. Returns the way to stop. */
  onSilence(listener: () => void): () => void {
    this.#silenceListeners.add(listener);
    return () => void this.#silenceListeners.delete(listener);
  }

  getData(path: string, watch = false): Answer<ReadNode> {
    return this.#ask((done) => {
      this.#client.getData(path, watch, done);
    });
  }

  getChildren(path: string, watch = false): Answer<ReadChildren> {
    return this.#ask((done) => {
      this.#client.getChildren(path, watch, done);
    });
  }

  /** The node's stat, or null if there is no such node. */
  exists(path: string, watch = false): Answer<NodeStat | null> {
    return this.#ask((done) => {
      this.#client.exists(path, watch, done);
    });
  }

  create(path: string, data: Buffer, options: { readonly ephemeral?: boolean } = {}): Answer<null> {
    if (data.length > MAX_REQUEST_BYTES) return tooLarge(data.length);
    return this.#ask((done) => {
      this.#client.create({ path, data, ephemeral: options.ephemeral === true, acl: this.aclAt(path) }, done);
    });
  }

  /** An ephemeral node whose name the server completes by the next number of its folder: its path. */
  createNumbered(path: string, data: Buffer): Answer<string> {
    return this.#ask((done) => {
      this.#client.createNumbered({ path, data, acl: this.aclAt(path) }, done);
    });
  }

  getAcl(path: string): Answer<readonly AclEntry[]> {
    return this.#ask((done) => {
      this.#client.getAcl(path, done);
    });
  }

  /** Replaces the ACL, whichever it is. */
  setAcl(path: string, acl: readonly AclEntry[]): Answer<null> {
    return this.#ask((done) => {
      this.#client.setAcl(path, acl, done);
    });
  }

  /** A version of -1 means any. */
  setData(path: string, data: Buffer, version: number): Answer<NodeStat> {
    if (data.length > MAX_REQUEST_BYTES) return tooLarge(data.length);
    return this.#ask((done) => {
      this.#client.setData(path, data, version, done);
    });
  }

  /** A version of -1 means any. */
  remove(path: string, version: number): Answer<null> {
    return this.#ask((done) => {
      this.#client.remove(path, version, done);
    });
  }

  /** All or nothing. A refusal names the operation that was refused. */
  async transaction(operations: readonly TransactionOperation[]): Answer<Committed> {
    const bytes = operations.reduce(
      (sum, one) => sum + OPERATION_BYTES + one.path.length + ('data' in one ? one.data.length : 0),
      operations.reduce((sum, one) => sum + (one.kind === 'create' ? this.#aclBytes(one.path) : 0), 0),
    );
    if (bytes > MAX_REQUEST_BYTES) return tooLarge(bytes);
    let refused = -1;
    const answer = await this.#ask<Committed>((done) => {
      this.#client.transaction(
        operations,
        (path) => this.aclAt(path),
        (code, value, index) => {
          refused = index;
          done(code, value);
        },
      );
    });
    if (answer.ok || answer.error.kind === 'lost' || refused < 0) return answer;
    return err({ ...answer.error, operation: refused });
  }

  /** Sets a persistent recursive watch (ZooKeeper ≥ 3.6, else `unimplemented`). It ends with the connection. */
  addTreeWatch(path: string): Answer<null> {
    return this.#raw('addWatch', path);
  }

  /** Takes away what `addTreeWatch` set. */
  removeTreeWatch(path: string): Answer<null> {
    return this.#raw('removeWatches', path);
  }

  /** The ephemeral nodes of this session, of those whose paths begin with `prefix` (ZooKeeper ≥ 3.6, else `unimplemented`). */
  ephemerals(prefix: string): Answer<readonly string[]> {
    return this.#ask((done) => {
      this.#client.raw('getEphemerals', prefix, done);
    });
  }

  /** After its answer, reads show everything that was committed before it was asked. */
  sync(path: string): Answer<null> {
    return this.#raw('sync', path);
  }

  /** Ends the session, so that its ephemeral nodes go at once; forceful after half a second. Never rejects. */
  async close(): Promise<void> {
    if (this.#phase === 'open') this.#endSession();
    else if (this.#phase === 'opening') this.kill('closed');
    await this.lost;
  }

  /** Gives the connection up: every waiting operation answers `lost`, nothing of it stays behind. */
  kill(reason: string): void {
    if (this.#phase === 'dead') return;
    this.#phase = 'dead';
    this.#deadline.stop();
    this.#ticker?.stop();
    this.#eventListeners.clear();
    this.#silenceListeners.clear();
    this.#client.destroy();
    for (const waiting of this.#waiting) waiting.give({ kind: 'lost', message: reason });
    this.#waiting.clear();
    this.#settleOpened(reason);
    this.#settleLost(reason);
  }

  #aclBytes(path: string): number {
    return this.aclAt(path).length * ACL_ENTRY_BYTES;
  }

  #endSession(): void {
    this.#phase = 'closing';
    const forced = this.#clock.after(CLOSE_MS, () => {
      this.kill('closed');
    });
    void this.lost.then(forced.stop);
    try {
      this.#client.closeSession();
    } catch (error) {
      this.kill(`closed: ${String(error)}`);
    }
  }

  #onOpen(granted: number): void {
    if (this.#phase !== 'opening') return;
    this.#deadline.stop();
    this.#phase = 'open';
    this.#sessionTimeoutMs = granted;
    this.#heardAt = this.#beatAt = this.#clock.monotonic();
    const every = Math.max(20, Math.min(250, granted / 24));
    this.#ticker = this.#clock.every(every, () => {
      this.#tick();
    });
    this.#settleOpened(null);
  }

  #onBytes(): void {
    const now = this.#clock.monotonic();
    const owed = this.#owedSince();
    this.#heardAt = now;
    if (owed === undefined || now - owed < Math.min(SILENCE_MS, this.#sessionTimeoutMs / 4)) return;
    this.#silentAt = now;
    for (const listener of this.#silenceListeners) listener();
  }

  /** Since when an answer is owed without a sound from the server; undefined if none is. */
  #owedSince(): number | undefined {
    const [oldest] = this.#waiting;
    return oldest === undefined ? undefined : Math.max(oldest.since, this.#heardAt);
  }

  #tick(): void {
    if (this.#overdue() !== null) {
      // This process may have been stopped itself: first let it read what lies in the socket.
      setImmediate(() => {
        const reason = this.#overdue();
        if (reason !== null) this.kill(reason);
      });
      return;
    }
    const now = this.#clock.monotonic();
    // At least once a second: a freeze between two heartbeats would go unseen.
    if (now - this.#beatAt < Math.min(this.#sessionTimeoutMs / 4, 1_000)) return;
    this.#beatAt = now;
    void this.exists('/');
  }

  #overdue(): string | null {
    const now = this.#clock.monotonic();
    const owed = this.#owedSince();
    if (owed !== undefined && now - owed > this.#sessionTimeoutMs / 3)
      return `no answer for ${Math.round(now - owed)} ms`;
    const [oldest] = this.#waiting;
    if (oldest !== undefined && now - oldest.since > this.#sessionTimeoutMs)
      return `an operation is open for ${Math.round(now - oldest.since)} ms`;
    return null;
  }

  #raw(request: RawRequest, path: string): Answer<null> {
    return this.#ask((done) => {
      this.#client.raw(request, path, (code) => {
        done(code, () => null);
      });
    });
  }

  /** Runs one operation and makes its callback, a throw, or the end of the connection a value. */
  #ask<T>(start: (done: Done<T>) => void): Answer<T> {
    if (this.#phase !== 'open') return Promise.resolve(err({ kind: 'lost', message: 'no connection' }));
    return new Promise((resolve) => {
      const waiting: Waiting = {
        since: this.#clock.monotonic(),
        give: (failure) => {
          resolve(err(failure));
        },
      };
      this.#waiting.add(waiting);
      try {
        start((code, value) => {
          if (!this.#waiting.delete(waiting)) return;
          resolve(code === 0 ? ok(value()) : err(failureOf(code, this.zxid)));
        });
      } catch (error) {
        this.#waiting.delete(waiting);
        resolve(err({ kind: 'other', message: String(error), zxid: '' }));
      }
    });
  }
}

function tooLarge(bytes: number): Promise<{ ok: false; error: OperationFailure }> {
  const message = `a request of ${bytes} bytes is more than ${MAX_REQUEST_BYTES}`;
  return Promise.resolve(err({ kind: 'too_large', message, zxid: '' }));
}
