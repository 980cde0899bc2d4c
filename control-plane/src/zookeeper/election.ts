import { z } from 'zod';
import type { Election, ElectionState, ElectionMember } from '../model/election.js';
import { err, ok, type Result } from '../model/result.js';
import { atMost, TIDY_MS } from './at_most.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import type { LinkUser, ZooKeeperLink } from './link.js';
import { Rounds } from './rounds.js';

export interface ElectionOptions {
  readonly root: string;
  /** Unique for each process: it is in the name of the node, so that one whose creation had no answer is known again. */
  readonly guid: string;
  readonly controller: ElectionMember;
}

/** One that takes part: `<guid>-<number>`, the number with ten digits. */
interface Place {
  readonly name: string;
  readonly number: string;
}

/** How much of its session may have passed since the last answer: then another controller may be elected soon. */
const TRUSTED = 2 / 3;
const NO_CONNECTION = 'no connection to ZooKeeper';

/**
 * The election below `<root>/controllers`: an ephemeral numbered node for each controller, the lowest number is elected. `link`
 * has a session of its own, so that what the controller does otherwise never delays it. Each watches its own and the one before it.
 */
export function createElection(link: ZooKeeperLink, options: ElectionOptions): Election {
  return new NumberedElection(link, options);
}

class NumberedElection implements Election, LinkUser {
  readonly name = 'election';
  readonly #link: ZooKeeperLink;
  readonly #options: ElectionOptions;
  readonly #folder: string;
  readonly #data: Buffer;
  readonly #listeners: (() => void)[] = [];
  #connection: ZooKeeperConnection | null = null;
  #detach: (() => void) | undefined;
  #state: ElectionState = 'unknown';
  /** The own node, of the present connection's session. */
  #own: string | null = null;
  #wantsPlace = true;
  readonly #rounds = new Rounds(
    () => this.#connection,
    (connection) => this.#look(connection),
  );

  constructor(link: ZooKeeperLink, options: ElectionOptions) {
    this.#link = link;
    this.#options = options;
    this.#folder = `${options.root}/controllers`;
    this.#data = Buffer.from(JSON.stringify(options.controller));
  }

  start(): Promise<void> {
    this.#detach ??= this.#link.attach(this);
    return Promise.resolve();
  }

  /** Gives the place up, if it can; else it goes with the session. */
  async close(): Promise<void> {
    this.#detach?.();
    this.#wantsPlace = false;
    await atMost(this.#link.clock, TIDY_MS, this.#rounds.ask());
    this.#connection = null;
    this.#enter('unknown');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  state(): ElectionState {
    return this.#state === 'elected' && !this.#isFresh() ? 'unknown' : this.#state;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  resign(): void {
    const [connection, own] = [this.#connection, this.#own];
    if (connection === null || own === null) return;
    this.#own = null;
    this.#enter('waiting');
    // Then it joins again.
    void connection.remove(`${this.#folder}/${own}`, -1).then(() => this.#rounds.ask());
  }

  async members(): Promise<Result<readonly ElectionMember[], string>> {
    const connection = this.#connection;
    if (connection === null) return err(NO_CONNECTION);
    const places = await this.#places(connection);
    if (!places.ok) return places;
    const read = await Promise.all(
      places.value.map(({ name }) => connection.getData(`${this.#folder}/${name}`)),
    );
    const found: ElectionMember[] = [];
    for (const node of read) {
      // One that went meanwhile takes part no more; one that cannot be read does, and is nobody to turn to.
      if (!node.ok && node.error.kind === 'no_node') continue;
      if (!node.ok) return err(node.error.message);
      found.push(parseController(node.value.data));
    }
    return ok(found);
  }

  sync(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    this.#connection = connection;
    this.#own = null;
    connection.onEvent(() => {
      void this.#rounds.ask();
    });
    return this.#rounds.ask();
  }

  lost(): void {
    this.#connection = null;
    this.#own = null;
    this.#enter('unknown');
  }

  #isFresh(): boolean {
    const connection = this.#connection;
    if (connection?.alive !== true) return false;
    const age = this.#link.clock.monotonic() - connection.heardAt;
    return age < connection.sessionTimeoutMs * TRUSTED;
  }

  async #look(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    if (!this.#wantsPlace) return this.#leave(connection);
    const places = await this.#places(connection);
    if (!places.ok) return places;
    const leftovers = places.value.filter(({ name }) => name !== this.#own && this.#isOurs(name));
    for (const { name } of leftovers) await connection.remove(`${this.#folder}/${name}`, -1);
    const others = places.value.filter((place) => !leftovers.includes(place));
    const at = others.findIndex(({ name }) => name === this.#own);
    if (at < 0) return this.#join(connection);
    const own = this.#own;
    let isPast = false;
    for (const { name } of others.slice(Math.max(0, at - 1), at + 1)) {
      const stat = await connection.exists(`${this.#folder}/${name}`, true);
      if (!stat.ok) return err(stat.error.message);
      isPast ||= stat.value === null;
    }
    if (isPast) void this.#rounds.ask();
    const isNewest = connection === this.#connection && own === this.#own && !this.#rounds.isAsked;
    if (isNewest) this.#enter(at === 0 ? 'elected' : 'waiting');
    return ok(null);
  }

  async #join(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    const folder = await createPath(connection, this.#folder);
    if (!folder.ok) return err(`${this.#folder}: ${folder.error.message}`);
    const created = await connection.createNumbered(`${this.#folder}/${this.#options.guid}-`, this.#data);
    if (!created.ok) return err(`${this.#folder}: ${created.error.message}`);
    // What an older session has made is a leftover.
    if (connection === this.#connection) this.#own = created.value.slice(this.#folder.length + 1);
    void this.#rounds.ask();
    return ok(null);
  }

  async #leave(connection: ZooKeeperConnection): Promise<Result<null, string>> {
    if (this.#own !== null) await connection.remove(`${this.#folder}/${this.#own}`, -1);
    this.#own = null;
    return ok(null);
  }

  /** In the order in which they came; after a sync, so it is not of the past. */
  async #places(connection: ZooKeeperConnection): Promise<Result<readonly Place[], string>> {
    void connection.sync(this.#folder);
    const children = await connection.getChildren(this.#folder);
    if (!children.ok) {
      const { kind, message } = children.error;
      return kind === 'no_node' ? ok([]) : err(`${this.#folder}: ${message}`);
    }
    const places = children.value.names.flatMap((name) => {
      const number = /-(\d{10})$/.exec(name)?.[1];
      return number === undefined ? [] : [{ name, number }];
    });
    return ok(places.sort((a, b) => (a.number < b.number ? -1 : 1)));
  }

  #isOurs(name: string): boolean {
    return name.startsWith(`${this.#options.guid}-`);
  }

  #enter(state: ElectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

const text = z.string().max(1_024);
const schema = z.object({ id: text, address: text.nullable(), version: text, started_at: text });
const UNREADABLE: ElectionMember = { id: 'unreadable', address: null, version: '', started_at: '' };

function parseController(data: Buffer): ElectionMember {
  try {
    return schema.parse(JSON.parse(data.toString('utf8')));
  } catch {
    return UNREADABLE;
  }
}
