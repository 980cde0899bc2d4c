import { createHash } from 'node:crypto';
import { backoffDelay } from '../model/backoff.js';
import type { Clock, Lifecycle, LinkState, Log, Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import type { RedisAddress } from '../model/redis_url.js';
import { openConnection, type Connection } from './connection.js';
import { describeError } from './describe_error.js';
import { describeChange, parseIdentity, type ServerIdentity } from './identity.js';
import { Target } from './target.js';

/** Every second the link asks for a sign of life, so silence is noticed after at most this and the socket timeout. */
const PROBE_MS = 1_000;
const BACKOFF = { first: 50, most: 1_000, jitter: 0 };
const CLOSE_MS = 2_000;

export interface LinkOptions {
  readonly address: RedisAddress;
  /** Names the connection in logs and in CLIENT LIST. */
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  /** An answer that takes longer counts as none. Default 1000. */
  readonly commandTimeoutMs?: number;
  /** Scripts by name, for `runScript`. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Makes this a subscriber of one channel; it then runs no commands. */
  readonly channel?: string;
}

/**
 * One connection to Redis that is kept up for ever. Commands never wait for it: without a usable connection they fail
 * at once, in flight they fail when it is lost or after the command timeout, and none is ever sent twice. A failed
 * command may have been applied. A connection is usable once it is subscribed, or once the server's identity was
 * read. One that is open but silent is dropped within 2 × PROBE_MS + command timeout + 500 ms: what was heard in the meantime saves a probe.
 */
export class RedisLink implements Lifecycle {
  readonly #options: LinkOptions;
  readonly #timeoutMs: number;
  readonly #redis: Connection;
  readonly #target: Target;
  readonly #scripts = new Map<string, { readonly sha: string; readonly text: string }>();
  readonly #doubtListeners: ((reason: string) => void)[] = [];
  readonly #usableListeners: (() => void)[] = [];
  readonly #messageListeners: ((text: string) => void)[] = [];
  #state: LinkState;
  #usable = false;
  /** Counts connections, so that work begun on an older one can notice. */
  #turn = 0;
  #everUsable = false;
  #failures = 0;
  #lastError = 'not connected yet';
  #identity: ServerIdentity | null = null;
  #timer: Timer | undefined;
  #pending: Promise<void> = Promise.resolve();
  #probing = false;
  /** True if the server was heard since the last look. */
  #heard = false;
  #closing: Promise<void> | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#timeoutMs = options.commandTimeoutMs ?? 1_000;
    for (const [name, text] of Object.entries(options.scripts ?? {}))
      this.#scripts.set(name, { text, sha: createHash('sha1').update(text).digest('hex') });
    this.#state = { state: 'connecting', since: options.clock.wall(), detail: this.#lastError };
    this.#target = new Target(options.address, options.clock);
    this.#redis = openConnection({
      ...this.#target.access,
      locate: () => this.#target.locate(),
      database: options.address.database,
      name: options.name,
      commandTimeoutMs: this.#timeoutMs,
      retryMs: () => backoffDelay(this.#failures++, BACKOFF, 0),
    });
    this.#redis.on('error', (error: Error) => {
      this.#lastError = describeError(error, this.#timeoutMs);
      if (!this.#usable) this.#setState('connecting', this.#lastError);
    });
    this.#redis.on('ready', () => {
      this.#pending = this.#prepare();
    });
    this.#redis.on('close', () => {
      this.#lost();
    });
    this.#redis.on('message', (_channel: string, text: string) => {
      this.#heard = true;
      for (const listener of this.#messageListeners) listener(text);
    });
  }

  state(): LinkState {
    return this.#state;
  }

  /** Called at every reconnect and whenever the server's identity changed: what it has may be older, or nothing. */
  onDoubt(listener: (reason: string) => void): void {
    this.#doubtListeners.push(listener);
  }

  /** Called whenever a connection becomes usable, the first included. */
  onUsable(listener: () => void): void {
    this.#usableListeners.push(listener);
  }

  /** Called with each message of the channel. */
  onMessage(listener: (text: string) => void): void {
    this.#messageListeners.push(listener);
  }

  start(): Promise<void> {
    if (this.#timer !== undefined || this.#closing !== undefined) return Promise.resolve();
    this.#timer = this.#options.clock.every(PROBE_MS, () => {
      this.#tick();
    });
    this.#connect();
    return Promise.resolve();
  }

  /** Runs one command. The error is a reason for people; the command may have been applied nevertheless. */
  async run(command: string, ...args: readonly string[]): Promise<Result<unknown, string>> {
    if (!this.#usable) return err(`Redis is not connected: ${this.#state.detail}`);
    try {
      const answer = await this.#redis.call(command, [...args]);
      this.#heard = true;
      return ok(answer);
    } catch (error) {
      const reason = describeError(error, this.#timeoutMs);
      const redirected = await this.#target.redirect(reason, command, args);
      if (redirected !== null && 'answer' in redirected) return redirected.answer;
      if (redirected !== null) this.#leave(redirected.leave);
      return err(reason);
    }
  }

  /** Runs a script by its name, and sends its text again if the server has forgotten it. */
  async runScript(
    name: string,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<Result<unknown, string>> {
    const script = this.#scripts.get(name);
    if (script === undefined) throw new Error(`no Redis script is called ${name}`);
    const rest = [String(keys.length), ...keys, ...args];
    const answer = await this.run('EVALSHA', script.sha, ...rest);
    if (answer.ok || !answer.error.startsWith('NOSCRIPT')) return answer;
    return this.run('EVAL', script.text, ...rest);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    this.#timer?.stop();
    this.#target.closeAside();
    this.#turn += 1;
    this.#usable = false;
    const open = ['connecting', 'connect', 'ready'].includes(this.#redis.status);
    const ended = new Promise<void>((resolve) => this.#redis.once('end', resolve));
    if (this.#redis.status !== 'wait' && this.#redis.status !== 'end') this.#redis.disconnect();
    if (open) {
      const giveUp = new AbortController();
      await Promise.race([ended, this.#options.clock.sleep(CLOSE_MS, giveUp.signal)]);
      giveUp.abort();
    }
    await this.#pending;
    this.#setState('connecting', 'closed');
  }

  #connect(): void {
    this.#redis.connect().catch(() => undefined); // the error listener has heard it
  }

  /** Makes a fresh connection usable, or drops it to try again after the backoff. */
  async #prepare(): Promise<void> {
    const turn = ++this.#turn;
    try {
      const identity =
        this.#options.channel === undefined
          ? await this.#greet()
          : await this.#subscribe(this.#options.channel);
      if (turn === this.#turn) this.#becomeUsable(identity);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#lastError = describeError(error, this.#timeoutMs);
      this.#setState('connecting', this.#lastError);
      if (this.#redis.status === 'ready') this.#redis.disconnect(true);
    }
  }

  async #subscribe(channel: string): Promise<null> {
    await this.#redis.subscribe(channel);
    return null;
  }

  async #greet(): Promise<ServerIdentity> {
    const identity = parseIdentity(await this.#redis.info());
    if (identity.loading) throw new Error('the server is still loading its data');
    if (identity.role === 'slave' && this.#target.mayMove)
      throw new Error(`${this.#target.describe()} is a replica`);
    const loads = [...this.#scripts.values()].map(({ text }) => this.#redis.call('SCRIPT', ['LOAD', text]));
    await Promise.allSettled(loads); // only saves the first call a round trip
    return identity;
  }

  #becomeUsable(identity: ServerIdentity | null): void {
    const before = this.#identity;
    this.#identity = identity;
    this.#usable = true;
    this.#failures = 0;
    this.#healthy(identity);
    if (this.#everUsable)
      this.#doubt(describeChange(before, identity) ?? 'the connection was lost and made again');
    this.#everUsable = true;
    for (const listener of this.#usableListeners) listener();
  }

  #lost(): void {
    this.#turn += 1;
    this.#usable = false;
    this.#target.closeAside();
    if (this.#closing === undefined) this.#setState('connecting', this.#lastError);
    this.#lastError = 'the connection was lost';
  }

  #tick(): void {
    if (this.#redis.status === 'end') this.#connect(); // never on its own account, but nothing else would revive it
    void this.#lookAround();
    const [heard, needsMore] = [this.#heard, this.#needsIdentity()];
    this.#heard = false;
    if (!this.#usable || this.#probing || (heard && !needsMore)) return;
    this.#probing = true;
    this.#pending = this.#probe().finally(() => {
      this.#probing = false;
    });
  }

  /** Gives the present connection up, and finds the right server. */
  #leave(reason: string): void {
    this.#lastError = reason;
    if (this.#redis.status === 'ready') this.#redis.disconnect(true);
  }

  /** Goes elsewhere if another server is the one that is written by now. */
  async #lookAround(): Promise<void> {
    const turn = this.#turn;
    const elsewhere = this.#usable ? await this.#target.lookAround() : null;
    if (elsewhere !== null && turn === this.#turn) this.#leave(elsewhere);
  }

  /** True if it matters who answers, and not only that somebody does. */
  #needsIdentity(): boolean {
    if (this.#options.channel !== undefined) return false;
    return this.#doubtListeners.length > 0 || this.#state.state !== 'connected';
  }

  /** A sign of life; a silent server is dropped by the socket timeout that this arms. */
  async #probe(): Promise<void> {
    const turn = this.#turn;
    try {
      const identity = this.#needsIdentity() ? parseIdentity(await this.#redis.info()) : this.#identity;
      if (identity === this.#identity) await this.#redis.ping();
      if (turn !== this.#turn) return;
      const change = describeChange(this.#identity, identity);
      this.#identity = identity;
      this.#healthy(identity);
      if (change !== null) this.#doubt(change);
      if (identity?.role === 'slave' && this.#target.mayMove) this.#leave('the server became a replica');
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#lastError = describeError(error, this.#timeoutMs);
      this.#setState('degraded', this.#lastError);
    }
  }

  #healthy(identity: ServerIdentity | null): void {
    if (identity?.role === 'slave')
      this.#setState('degraded', 'the server is a replica, which cannot be written');
    else this.#setState('connected', this.#target.describe());
  }

  #doubt(reason: string): void {
    this.#options.log.warn({ link: this.#options.name, reason }, 'redis data in doubt');
    for (const listener of this.#doubtListeners) listener(reason);
  }

  #setState(state: LinkState['state'], detail: string): void {
    if (this.#state.state === state && this.#state.detail === detail) return;
    const since = this.#state.state === state ? this.#state.since : this.#options.clock.wall();
    this.#state = { state, since, detail };
    const fields = { link: this.#options.name, state, detail };
    if (state === 'connected' || this.#closing !== undefined) this.#options.log.info(fields, 'redis link');
    else this.#options.log.warn(fields, 'redis link');
  }
}
