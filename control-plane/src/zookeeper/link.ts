import { serversField } from '../model/field.js';
import { backoffDelay } from '../model/backoff.js';
import type { Clock, Lifecycle, LinkState, Log } from '../model/ports.js';
import { ok, type Result } from '../model/result.js';
import { NO_ACCESS, type Access } from './access.js';
import type { AclRules } from './acl.js';
import { atMost } from './at_most.js';
import { connect, type ZooKeeperConnection } from './connection.js';
import { sameCredentials } from './credentials.js';
import type { ServerAddress } from './protocol.js';

export interface ZooKeeperLinkOptions {
  /** `host:port[,host:port…]`. */
  readonly connect: string;
  /** What is asked for; the server may grant another. */
  readonly sessionTimeoutMs: number;
  /** From the first packet to the session. Default: a third of the session, 1 to 5 s. */
  readonly connectTimeoutMs?: number;
  readonly log: Log;
  readonly clock: Clock;
  /** 0 ≤ x < 1: jitter, and which server is tried first. */
  readonly random: () => number;
  /** How often everything that is watched is looked at again, whether an event came or not. Default 5 min. */
  readonly recheckMs?: number;
  /** By what right, and how: asked for each connection, and every few seconds while one is used. Default: none, plain TCP. */
  readonly access?: () => Result<Access, string>;
  /** Who may do what with nodes that are created. */
  readonly acl?: AclRules;
  /** How often `access` is asked while a connection is used. Default 10 s. */
  readonly accessMs?: number;
}

/** Something that works over the link: everything it has on one connection begins again on the next. */
export interface LinkUser {
  /** For logs. */
  readonly name: string;
  /**
   * A new connection is up. Resolves once everything that it needs from it has been read and set up; an error gives
   * the connection up for all users, and the link tries again later.
   */
  sync(connection: ZooKeeperConnection): Promise<Result<null, string>>;
  /** Resolves once it shows everything that it was notified of before, or at the next loss. Absent = it shows nothing. */
  settled?(): Promise<void>;
  /** The connection is gone, or the first attempts failed. Called once per spell without a connection. */
  lost(reason: string): void;
}

const RECHECK_MS = 300_000;
const CAUGHT_UP_MS = 1_000;
const ACCESS_MS = 10_000;
const BACKOFF = { first: 100, most: 3_000, jitter: 0.5 };

/**
 * Keeps one connection at a time, a new session each. After a loss it tries the servers in turn, with jittered
 * exponential waits of 100 ms … 3 s that begin again only when every user had synced.
 */
export class ZooKeeperLink implements Lifecycle {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly recheckMs: number;
  readonly #options: ZooKeeperLinkOptions;
  readonly #servers: readonly ServerAddress[];
  readonly #users = new Set<LinkUser>();
  readonly #synced = new Set<LinkUser>();
  readonly #syncs = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #credentialListeners: (() => void)[] = [];
  #connection: ZooKeeperConnection | null = null;
  #accessProblem: string | null = null;
  #state: LinkState;
  #failures = 0;
  #next: number;
  #lostReported = false;
  #running: Promise<void> | undefined;

  /** Throws if `connect` cannot be read. */
  constructor(options: ZooKeeperLinkOptions) {
    const servers = serversField.parse(options.connect);
    if (!servers.ok) throw new TypeError(`zookeeper: ${servers.error}`);
    this.#servers = servers.value;
    this.#options = options;
    this.log = options.log;
    this.clock = options.clock;
    this.random = options.random;
    this.recheckMs = options.recheckMs ?? RECHECK_MS;
    this.#next = Math.floor(options.random() * servers.value.length);
    this.#state = { state: 'connecting', since: options.clock.wall(), detail: 'not tried yet' };
  }

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  /** Ends the session at the server too, so that its ephemeral nodes go at once. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#connection?.close();
    await this.#running;
    await Promise.allSettled(this.#syncs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** `connected` means that every user has synced over the present connection. */
  state(): LinkState {
    return this.#state;
  }

  /** The present connection, whether its users have synced or not. */
  get connection(): ZooKeeperConnection | null {
    return this.#connection?.alive === true ? this.#connection : null;
  }

  /** When (monotonic ms) ZooKeeper was heard last, over the present connection; null without one. */
  get heardAt(): number | null {
    return this.connection?.heardAt ?? null;
  }

  /** Resolves once every user shows all that was committed before the call, as soon as that cannot be known, or after a second. */
  caughtUp(): Promise<void> {
    return atMost(this.clock, CAUGHT_UP_MS, this.#catchUp());
  }

  async #catchUp(): Promise<void> {
    const { connection } = this;
    // Events of what was committed before are sent before this answer.
    if (connection === null || !(await connection.sync('/')).ok) return;
    await Promise.all([...this.#users].map(async (user) => user.settled?.()));
  }

  /** Why `access` cannot be used now, or null. The connection in use goes on with what was read before. */
  get accessProblem(): string | null {
    return this.#accessProblem;
  }

  /** Called after the connection in use was given other credentials. */
  onCredentials(listener: () => void): void {
    this.#credentialListeners.push(listener);
  }

  /** Adds a user, at any time. Returns the way to leave. */
  attach(user: LinkUser): () => void {
    this.#users.add(user);
    if (this.#connection?.alive === true) this.#sync(user, this.#connection);
    else if (this.#lostReported) user.lost(this.#state.detail);
    return () => {
      this.#users.delete(user);
      this.#synced.delete(user);
      this.#checkSynced();
    };
  }

  async #run(): Promise<void> {
    while (!this.#stopped()) {
      const server = this.#servers[this.#next++ % this.#servers.length] as ServerAddress;
      const opened = await this.#open(server);
      const reason = opened.ok ? await this.#serve(opened.value, server) : opened.error;
      if (this.#stopped()) return;
      this.#onLost(reason);
      await this.#wait();
    }
  }

  async #open(server: ServerAddress): Promise<Result<ZooKeeperConnection, string>> {
    const third = this.#options.sessionTimeoutMs / 3;
    const access = this.#readAccess();
    if (!access.ok) return access;
    return connect({
      server,
      access: access.value,
      ...(this.#options.acl ? { acl: this.#options.acl } : {}),
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      connectTimeoutMs: this.#options.connectTimeoutMs ?? Math.max(1_000, Math.min(5_000, third)),
      clock: this.clock,
      signal: this.#stop.signal,
    });
  }

  #readAccess(): Result<Access, string> {
    const access = this.#options.access?.() ?? ok(NO_ACCESS);
    this.#accessProblem = access.ok ? null : access.error;
    return access;
  }

  /** Credentials may be replaced while the connection lives: it gets the new ones, without a new session. */
  #renewCredentials(connection: ZooKeeperConnection): void {
    const before = this.#accessProblem;
    const access = this.#readAccess();
    if (!access.ok) {
      if (before === null) this.log.error({ reason: access.error }, 'the access to ZooKeeper cannot be read');
      return;
    }
    if (sameCredentials(connection.credentials, access.value.credentials)) return;
    connection.useCredentials(access.value.credentials);
    this.log.info(
      { users: access.value.credentials.map(({ user }) => user) },
      'ZooKeeper credentials renewed',
    );
    for (const listener of this.#credentialListeners) listener();
  }

  /** Lets the users work until the connection is lost; resolves with the reason. */
  async #serve(connection: ZooKeeperConnection, server: ServerAddress): Promise<string> {
    if (this.#stopped()) await connection.close();
    this.#connection = connection;
    this.#lostReported = false;
    this.#synced.clear();
    this.#setState('degraded', 'connected, reading');
    this.log.info(
      {
        server: `${server.host}:${server.port}`,
        session: connection.sessionId,
        session_timeout_ms: connection.sessionTimeoutMs,
      },
      'ZooKeeper connected',
    );
    for (const user of this.#users) this.#sync(user, connection);
    this.#checkSynced();
    const renewal =
      this.#options.access &&
      this.clock.every(this.#options.accessMs ?? ACCESS_MS, () => {
        this.#renewCredentials(connection);
      });
    const reason = await connection.lost;
    renewal?.stop();
    this.#connection = null;
    return reason;
  }

  #sync(user: LinkUser, connection: ZooKeeperConnection): void {
    const work = (async () => {
      const result = await user.sync(connection);
      if (!connection.alive) return;
      if (!result.ok) {
        connection.kill(`${user.name}: ${result.error}`);
        return;
      }
      if (this.#users.has(user)) this.#synced.add(user);
      this.#checkSynced();
    })()
      .catch((error: unknown) => {
        this.log.error({ user: user.name, error: String(error) }, 'a ZooKeeper user threw');
        connection.kill(`${user.name}: ${String(error)}`);
      })
      .finally(() => this.#syncs.delete(work));
    this.#syncs.add(work);
  }

  #checkSynced(): void {
    if (this.#connection?.alive !== true || this.#synced.size < this.#users.size) return;
    this.#failures = 0;
    this.#setState('connected', '');
  }

  #onLost(reason: string): void {
    this.#setState(this.#state.state === 'connecting' ? 'connecting' : 'degraded', reason);
    if (this.#lostReported) {
      this.log.debug({ reason }, 'ZooKeeper cannot be reached');
      return;
    }
    this.#lostReported = true;
    this.log.warn({ reason }, 'ZooKeeper lost');
    for (const user of this.#users) user.lost(reason);
  }

  async #wait(): Promise<void> {
    const ms = backoffDelay(this.#failures, BACKOFF, this.random());
    this.#failures += 1;
    await this.clock.sleep(ms, this.#stop.signal);
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #setState(state: LinkState['state'], detail: string): void {
    const since = state === this.#state.state ? this.#state.since : this.clock.wall();
    this.#state = { state, since, detail };
  }
}
