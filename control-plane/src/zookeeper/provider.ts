import { checkName } from '../model/names.js';
import type { ProviderData, ProviderRegistration, Timer } from '../model/ports.js';
import { ok, type Result } from '../model/result.js';
import { atMost, TIDY_MS } from './at_most.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import { claim, release, type EphemeralOutcome } from './ephemeral.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import type { OperationFailure } from './protocol.js';

export interface ProviderOptions {
  readonly link: ZooKeeperLink;
  /** The registry root. */
  readonly root: string;
  readonly service: string;
  /** The instance's id; it names the node. */
  readonly node: string;
  /** What the registry's format would refuse in the data; null if nothing. `set` throws it. */
  readonly check: (service: string, data: ProviderData) => string | null;
}

/**
 * Keeps `<root>/<service>/providers/<node>` as wanted. The parents are created as needed. A node that an older session
 * left under the same id, host and port is replaced at once; one of another address is waited out, because two living
 * instances would otherwise fight for it. Throws if the service or the node cannot be named so.
 */
export function createProviderRegistration(options: ProviderOptions): ProviderRegistration {
  for (const checked of [checkName('service', options.service), checkName('instance', options.node, 'id')])
    if (!checked.ok) throw new TypeError(checked.error.message);
  return new EphemeralProvider(options);
}

interface Wanted {
  /** Null = no node. */
  readonly data: ProviderData | null;
  readonly revision: number;
}
interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
}

class EphemeralProvider implements ProviderRegistration, LinkUser {
  readonly name: string;
  readonly #options: ProviderOptions;
  readonly #folder: string;
  readonly #path: string;
  readonly #waiters = new Set<Waiter>();
  #wanted: Wanted = { data: null, revision: 0 };
  /** The newest data that was ever wanted: by it our own leftovers are known. */
  #identity: ProviderData | undefined;
  #reached = 0;
  #connection: ZooKeeperConnection | null = null;
  /** The connection whose session has had the node: what another session does to it then was not our loss. */
  #claimedOn: ZooKeeperConnection | null = null;
  #working: Promise<Result<null, string>> | undefined;
  #detach: (() => void) | undefined;
  #timer: Timer | undefined;
  #reported = '';

  constructor(options: ProviderOptions) {
    this.#options = options;
    this.name = `provider ${options.service}/${options.node}`;
    this.#folder = `${options.root}/${options.service}/providers`;
    this.#path = `${this.#folder}/${options.node}`;
  }

  start(): Promise<void> {
    this.#detach ??= this.#options.link.attach(this);
    return Promise.resolve();
  }

  /** Takes the node away if the link is up; else it goes with the session. What still waits is left unanswered. */
  async close(): Promise<void> {
    this.#timer?.stop();
    this.#detach?.();
    this.#want(null);
    await atMost(this.#options.link.clock, TIDY_MS, this.#work());
    this.#connection = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async set(data: ProviderData, signal?: AbortSignal): Promise<void> {
    const flaw = this.#options.check(this.#options.service, data);
    if (flaw !== null) throw new TypeError(flaw);
    await this.#reach(this.#want(data), signal);
  }

  async withdraw(signal?: AbortSignal): Promise<void> {
    const revision = this.#want(null);
    if (this.#identity === undefined) return;
    await this.#reach(revision, signal);
  }

  async sync(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    this.#connection = connection;
    this.#timer?.stop();
    const every = Math.max(250, Math.min(1_000, connection.sessionTimeoutMs / 4));
    this.#timer = this.#options.link.clock.every(every, () => {
      void this.#check(connection);
    });
    this.#reached = -1; // this session has no node yet, whatever an older one had
    return this.#work();
  }

  lost(): void {
    this.#timer?.stop();
    this.#connection = null;
  }

  #want(data: ProviderData | null): number {
    this.#wanted = { data, revision: this.#wanted.revision + 1 };
    if (data !== null) this.#identity = data;
    return this.#wanted.revision;
  }

  #reach(revision: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiters.delete(waiter);
        const reason: unknown = signal?.reason;
        reject(reason instanceof Error ? reason : new Error('aborted'));
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      if (signal?.aborted === true) {
        stop();
        return;
      }
      signal?.addEventListener('abort', stop, { once: true });
      this.#waiters.add(waiter);
      void this.#work();
    });
  }

  /** One pass at a time, until what is wanted is written or this connection can do no more for now. */
  #work(): Promise<Result<null, string>> {
    this.#working ??= this.#passes().finally(() => (this.#working = undefined));
    return this.#working;
  }

  async #passes(): Promise<Result<null, string>> {
    while (this.#connection?.alive === true && this.#reached !== this.#wanted.revision) {
      const connection = this.#connection;
      const { data, revision } = this.#wanted;
      if (data === null && this.#identity === undefined) break;
      const outcome = data === null ? await this.#leave(connection) : await this.#enter(connection, data);
      if (connection !== this.#connection) continue;
      const written = outcome.kind === 'done' || (outcome.kind === 'foreign' && data === null);
      if (!written) {
        this.#report(outcome);
        break;
      }
      this.#reported = '';
      this.#claimedOn = data === null ? null : connection;
      this.#reached = revision;
      for (const waiter of this.#waiters) {
        if (waiter.revision > revision) continue;
        this.#waiters.delete(waiter);
        waiter.resolve();
      }
    }
    return ok(null);
  }

  async #enter(connection: ZooKeeperConnection, data: ProviderData): Promise<EphemeralOutcome> {
    const bytes = Buffer.from(JSON.stringify(data));
    const outcome = await claim(connection, this.#path, bytes, (found) => this.#isOurs(connection, found));
    if (outcome.kind !== 'no_parent') return outcome;
    const created = await createPath(connection, this.#folder);
    if (!created.ok) return { kind: 'failed', failure: created.error };
    return claim(connection, this.#path, bytes, (found) => this.#isOurs(connection, found));
  }

  #leave(connection: ZooKeeperConnection): Promise<EphemeralOutcome> {
    return release(connection, this.#path, (found) => this.#isOurs(connection, found));
  }

  /** A leftover of our own: same id and address, and not taken from this very session by somebody who lives. */
  #isOurs(connection: ZooKeeperConnection, found: Buffer): boolean {
    if (connection === this.#claimedOn || this.#identity === undefined) return false;
    const { id, host, port } = this.#identity;
    try {
      const other = JSON.parse(found.toString('utf8')) as Partial<ProviderData> | null;
      return other?.id === id && other.host === host && other.port === port;
    } catch {
      return false;
    }
  }

  /** The node may be deleted by hand, and a foreign one may end: look now and then. */
  async #check(connection: ZooKeeperConnection): Promise<void> {
    if (this.#working !== undefined || connection !== this.#connection) return;
    if (this.#reached === this.#wanted.revision && this.#wanted.data !== null) {
      const stat = await connection.exists(this.#path);
      if (!stat.ok || connection !== this.#connection) return;
      if (stat.value?.ephemeralOwner === connection.sessionId) return;
      this.#reached = -1;
    }
    await this.#work();
  }

  #report(outcome: EphemeralOutcome): void {
    if (outcome.kind === 'failed' && outcome.failure.kind === 'lost') return;
    const why = outcome.kind === 'failed' ? whyOf(outcome.failure) : outcome.kind;
    if (this.#reported === why) return;
    this.#reported = why;
    const { log } = this.#options.link;
    if (outcome.kind === 'foreign')
      log.error(
        { path: this.#path, session: outcome.owner },
        'another instance is registered under this id; waiting for it to go',
      );
    else log.warn({ path: this.#path, reason: why }, 'the provider node cannot be written yet');
  }
}

function whyOf({ kind, message }: OperationFailure): string {
  return kind === 'no_auth'
    ? `${message}: register as a user that may create nodes here (--zookeeper-auth-file)`
    : message;
}
