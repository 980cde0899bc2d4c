import type { ConsumerRegistration, Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { atMost, TIDY_MS } from './at_most.js';
import type { ZooKeeperConnection } from './connection.js';
import { claim } from './ephemeral.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import { Rounds } from './rounds.js';

export interface ConsumersOptions {
  /** The registry root. */
  readonly root: string;
  /** This controller: `id` names its nodes, and must be its own. */
  readonly node: { readonly id: string; readonly host: string };
}

/** Services worked on at once. */
const IN_FLIGHT = 64;
/** How often it is checked that the nodes still exist: a service may have been deleted and created again. */
export const CHECK_MS = 15_000;

/**
 * The nodes `<root>/<service>/consumers/<id>`, ephemeral, with `{id, host}`. A service that does not exist is
 * skipped, never created, and tried again at the next `follow` and every 15 s. The folder `consumers` of one that is no longer followed goes
 * with its last node; what is beside it belongs to registrants.
 */
export function createConsumers(link: ZooKeeperLink, options: ConsumersOptions): ConsumerRegistration {
  return new EphemeralConsumers(link, options);
}

class EphemeralConsumers implements ConsumerRegistration, LinkUser {
  readonly name = 'consumers';
  readonly #link: ZooKeeperLink;
  readonly #options: ConsumersOptions;
  readonly #data: Buffer;
  /** What `follow` was given last: the same list costs nothing. */
  #followed: readonly string[] = [];
  #wanted: ReadonlySet<string> = new Set();
  /** Where this connection's session has its node. */
  #standing = new Set<string>();
  #connection: ZooKeeperConnection | null = null;
  readonly #rounds = new Rounds(
    () => this.#connection,
    (connection) => this.#pass(connection),
  );
  #detach: (() => void) | undefined;
  #timer: Timer | undefined;
  /** Services whose nodes the session may not write, why, and from when on it is tried again. */
  readonly #refused = new Map<
    string,
    { readonly path: string; readonly reason: string; readonly until: number }
  >();

  constructor(link: ZooKeeperLink, options: ConsumersOptions) {
    this.#link = link;
    this.#options = options;
    this.#data = Buffer.from(JSON.stringify({ id: options.node.id, host: options.node.host }));
  }

  start(): Promise<void> {
    this.#detach ??= this.#link.attach(this);
    this.#timer ??= this.#link.clock.every(CHECK_MS, () => {
      void this.#check();
    });
    return Promise.resolve();
  }

  /** Takes its nodes away, if it can. */
  async close(): Promise<void> {
    this.#timer?.stop();
    this.#detach?.();
    this.#wanted = new Set();
    await atMost(this.#link.clock, TIDY_MS, this.#rounds.ask());
    this.#connection = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  follow(services: readonly string[]): void {
    if (services !== this.#followed) {
      this.#followed = services;
      this.#wanted = new Set(services);
      for (const service of this.#refused.keys())
        if (!this.#wanted.has(service)) this.#refused.delete(service);
      void this.#rounds.ask();
    } else if (this.#standing.size < this.#wanted.size) void this.#rounds.ask();
  }

  refused(): ReadonlyMap<string, { readonly path: string; readonly reason: string }> {
    return this.#refused;
  }

  sync(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    this.#connection = connection;
    this.#standing = new Set();
    this.#refused.clear();
    return this.#rounds.ask();
  }

  lost(): void {
    this.#connection = null;
  }

  async #pass(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const wanted = this.#wanted;
    const standing = this.#standing;
    const work = [
      ...[...wanted]
        .filter((service) => !standing.has(service) && this.#mayTry(service))
        .map((service) => this.#enter(connection, service)),
      ...[...standing]
        .filter((service) => !wanted.has(service))
        .map((service) => this.#leave(connection, service)),
    ].values();
    const run = async (): Promise<void> => {
      for (const step of work) await step(standing);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, run));
    return connection.alive || connection !== this.#connection ? ok(null) : err('connection lost');
  }

  #enter(connection: ZooKeeperConnection, service: string) {
    return async (standing: Set<string>): Promise<void> => {
      const parent = `${this.#options.root}/${service}/consumers`;
      const path = this.#pathOf(service);
      // The id is this controller's own, so whatever an older session left there is ours.
      let outcome = await claim(connection, path, this.#data, () => true);
      if (outcome.kind === 'no_parent') {
        const created = await connection.create(parent, Buffer.alloc(0));
        if (created.ok || created.error.kind === 'node_exists')
          outcome = await claim(connection, path, this.#data, () => true);
        else if (created.error.kind !== 'no_node') outcome = { kind: 'failed', failure: created.error };
      }
      if (outcome.kind === 'done') standing.add(service);
      if (outcome.kind === 'failed' && outcome.failure.kind !== 'lost')
        this.#refused.set(service, {
          ...{ path, reason: outcome.failure.message },
          until: this.#link.clock.monotonic() + CHECK_MS,
        });
      else if (outcome.kind !== 'failed') this.#refused.delete(service);
    };
  }

  #leave(connection: ZooKeeperConnection, service: string) {
    return async (standing: Set<string>): Promise<void> => {
      const path = this.#pathOf(service);
      const removed = await connection.remove(path, -1);
      if (!removed.ok && removed.error.kind !== 'no_node') return;
      standing.delete(service);
      // The last consumer takes the folder along; while anybody else's node is in it ZooKeeper refuses.
      if (!this.#wanted.has(service)) await connection.remove(path.slice(0, path.lastIndexOf('/')), -1);
    };
  }

  async #check(): Promise<void> {
    const connection = this.#connection;
    const standing = this.#standing;
    if (connection === null || this.#rounds.running) return;
    for (const service of await this.#missing(connection, [...standing])) standing.delete(service);
    if (standing.size < this.#wanted.size) void this.#rounds.ask();
  }

  /** Those of `services` whose node is gone; none where nothing can be said. */
  async #missing(connection: ZooKeeperConnection, services: readonly string[]): Promise<readonly string[]> {
    const listed = await connection.ephemerals(this.#options.root);
    if (listed.ok) {
      const present = new Set(listed.value);
      return services.filter((service) => !present.has(this.#pathOf(service)));
    }
    return listed.error.kind === 'unimplemented' ? this.#missingOneByOne(connection, services) : [];
  }

  /** The same for servers that do not list what a session owns. */
  async #missingOneByOne(
    connection: ZooKeeperConnection,
    services: readonly string[],
  ): Promise<readonly string[]> {
    const missing: string[] = [];
    const queue = services.values();
    const run = async (): Promise<void> => {
      for (const service of queue) {
        const stat = await connection.exists(this.#pathOf(service));
        if (stat.ok && stat.value === null) missing.push(service);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, run));
    return missing;
  }

  #pathOf(service: string): string {
    return `${this.#options.root}/${service}/consumers/${this.#options.node.id}`;
  }

  /** What was refused is not asked for again at every look. */
  #mayTry(service: string): boolean {
    return this.#link.clock.monotonic() >= (this.#refused.get(service)?.until ?? 0);
  }
}
