import type { Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { fullAccess, sameAcl, type AclEntry } from './acl.js';
import type { ZooKeeperConnection } from './connection.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import type { OperationFailure } from './protocol.js';
import { Rounds } from './rounds.js';

export interface PermissionsOptions {
  /** The root of Ebbgate's own nodes. */
  readonly root: string;
  readonly registryRoots: readonly string[];
  /** True while this controller is the one that leads: the others change nothing. */
  readonly leads: () => boolean;
}

/** How often what was refused is tried again. */
const RETRY_MS = 30_000;
const IN_FLIGHT = 64;
/** The folders of a service. */
const FOLDERS = ['providers', 'consumers'] as const;

/**
 * Gives nodes the ACL that they would be created with now: own nodes whatever they have (those of before there were credentials are open to
 * everybody), and of the registry the folders that one of the present users was given, so that credentials can be replaced. A root
 * comes last, so a root that has its ACL says that all below it were done. Without credentials nothing is changed.
 */
export class NodePermissions implements LinkUser {
  readonly name = 'permissions';
  readonly #link: ZooKeeperLink;
  readonly #options: PermissionsOptions;
  readonly #rounds: Rounds;
  #connection: ZooKeeperConnection | null = null;
  #refused: ReadonlyMap<string, string> = new Map();
  #detach: (() => void) | undefined;
  #timer: Timer | undefined;

  constructor(link: ZooKeeperLink, options: PermissionsOptions) {
    this.#link = link;
    this.#options = options;
    this.#rounds = new Rounds(
      () => this.#connection,
      (connection) => this.#round(connection),
    );
    link.onCredentials(() => {
      this.look();
    });
  }

  start(): void {
    this.#detach ??= this.#link.attach(this);
    this.#timer ??= this.#link.clock.every(RETRY_MS, () => {
      if (this.#refused.size > 0) this.look();
    });
  }

  async close(): Promise<void> {
    this.#timer?.stop();
    this.#detach?.();
    this.#connection = null;
    await this.#rounds.ask();
  }

  /** Path → why its ACL cannot be read or set, as of the last round. */
  refused(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** Begins a round: who leads has changed, or the credentials have. */
  look(): void {
    void this.#rounds.ask();
  }

  /** The link does not wait for it. */
  sync(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    this.#connection = connection;
    this.look();
    return Promise.resolve(ok(null));
  }

  lost(): void {
    this.#connection = null;
  }

  async #round(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const { root, registryRoots, leads } = this.#options;
    if (connection.credentials.length === 0 || !leads()) {
      this.#refused = new Map();
      return ok(null);
    }
    const round = new Round(connection);
    await round.own(root);
    for (const path of registryRoots) await round.registry(path);
    if (!connection.alive) return err('connection lost');
    this.#refused = round.refused;
    if (round.changed > 0) this.#link.log.info({ nodes: round.changed }, 'nodes were given their ACL');
    return ok(null);
  }
}

/** One walk over one connection. */
class Round {
  readonly refused = new Map<string, string>();
  changed = 0;
  readonly #connection: ZooKeeperConnection;

  constructor(connection: ZooKeeperConnection) {
    this.#connection = connection;
  }

  async own(root: string): Promise<void> {
    const acl = await this.#aclOf(root);
    if (acl === null || this.#isRight(root, acl)) return;
    const paths = await this.#below(root);
    await each(paths.toReversed(), async (path) => {
      const found = await this.#aclOf(path);
      if (found !== null && !this.#isRight(path, found)) await this.#set(path);
    });
    if (this.refused.size === 0) await this.#set(root);
  }

  async registry(root: string): Promise<void> {
    const acl = await this.#aclOf(root);
    if (acl === null || this.#isRight(root, acl)) return;
    const services = await this.#childrenOf(root);
    await each(services, async (service) => {
      for (const path of [...FOLDERS.map((folder) => `${service}/${folder}`), service])
        await this.#setIfOurs(path);
    });
    await this.#setIfOurs(root);
  }

  /** All below a node, parents first. */
  async #below(root: string): Promise<readonly string[]> {
    const found: string[] = [];
    let level: readonly string[] = [root];
    while (level.length > 0) {
      const next: string[] = [];
      await each(level, async (path) => void next.push(...(await this.#childrenOf(path))));
      found.push(...next);
      level = next;
    }
    return found;
  }

  async #childrenOf(path: string): Promise<readonly string[]> {
    const children = await this.#connection.getChildren(path);
    if (children.ok) return children.value.names.map((name) => `${path}/${name}`);
    this.#note(path, children.error);
    return [];
  }

  async #aclOf(path: string): Promise<readonly AclEntry[] | null> {
    const acl = await this.#connection.getAcl(path);
    if (acl.ok) return acl.value;
    this.#note(path, acl.error);
    return null;
  }

  async #setIfOurs(path: string): Promise<void> {
    const acl = await this.#aclOf(path);
    if (acl === null || this.#isRight(path, acl)) return;
    const ours = fullAccess(this.#connection.credentials).map(({ id }) => id);
    if (acl.some(({ scheme, id }) => scheme === 'digest' && ours.includes(id))) await this.#set(path);
  }

  #isRight(path: string, acl: readonly AclEntry[]): boolean {
    return sameAcl(acl, this.#connection.aclAt(path));
  }

  async #set(path: string): Promise<void> {
    const set = await this.#connection.setAcl(path, this.#connection.aclAt(path));
    if (set.ok) this.changed += 1;
    else this.#note(path, set.error);
  }

  #note(path: string, failure: OperationFailure): void {
    // A node that went needs no ACL; a lost connection has its own words.
    if (failure.kind !== 'no_node' && failure.kind !== 'lost') this.refused.set(path, failure.message);
  }
}

async function each(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const queue = paths.values();
  const run = async (): Promise<void> => {
    for (const path of queue) await work(path);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, run));
}
