import type { HostPort } from '../model/field.js';
import type { Clock } from '../model/ports.js';
import { describeAddress, describeNode, type RedisAddress } from '../model/redis_url.js';
import type { Result } from '../model/result.js';
import { Aside } from './aside.js';
import { askOnce, type Access } from './connection.js';
import { parseRedirect } from './redirect.js';
import { topologyOf } from './topology/choose.js';
import type { Topology } from './topology/topology.js';

/** How often it is asked who may be written: the server of before may live on, cut off from the others. */
const LOCATE_MS = 3_000;

/** What becomes of a command that a server has refused because another one should have it. */
export type Redirected =
  | { readonly answer: Result<unknown, string> }
  /** The connection is of no use any more, and why. */
  | { readonly leave: string };

/** The server that a link writes to: which one it is now, and what is to be done when another one takes its place. */
export class Target {
  readonly access: Access;
  /** True if another server may become the one that is written. */
  readonly mayMove: boolean;
  readonly #address: RedisAddress;
  readonly #clock: Clock;
  readonly #topology: Topology;
  readonly #aside: Aside;
  #node: HostPort | null = null;
  #locatedAt = 0;
  #locating = false;

  constructor(address: RedisAddress, clock: Clock) {
    this.#address = address;
    this.#clock = clock;
    this.access = { login: address, tls: address.tls };
    this.mayMove = address.kind !== 'single';
    const asked = address.kind === 'sentinel' ? { ...this.access, login: address.sentinel } : this.access;
    this.#topology = topologyOf(address, (node, command) => askOnce(node, asked, command), clock);
    this.#aside = new Aside(this.access);
  }

  /** Where the next connection must go. */
  async locate(): Promise<Result<HostPort, string>> {
    const found = await this.#topology.locate();
    this.#locatedAt = this.#clock.monotonic();
    this.#node = found.ok ? found.value : null;
    return found;
  }

  /** Asks, if it is time for that, and returns why the connection must go elsewhere. No answer from anybody changes nothing. */
  async lookAround(): Promise<string | null> {
    const isDue = this.#clock.monotonic() - this.#locatedAt >= LOCATE_MS;
    if (!this.mayMove || !isDue || this.#locating) return null;
    this.#locating = true;
    const found = await this.#topology.locate();
    this.#locating = false;
    this.#locatedAt = this.#clock.monotonic();
    if (!found.ok || this.#node === null) return null;
    const [now, before] = [describeNode(found.value), describeNode(this.#node)];
    return now === before ? null : `the server is now ${now}, not ${before}`;
  }

  /** Follows an error that names another server; null for any other. What a wrong server refuses was not applied. */
  async redirect(error: string, command: string, args: readonly string[]): Promise<Redirected | null> {
    const redirect = parseRedirect(error, this.#node);
    if (redirect?.kind === 'ask') return { answer: await this.#aside.run(redirect.node, command, args) };
    if (redirect !== null) {
      this.#topology.moved(redirect.node);
      return { leave: `the slot moved to ${describeNode(redirect.node)}` };
    }
    return this.mayMove && error.startsWith('READONLY') ? { leave: 'the server became a replica' } : null;
  }

  /** Ends the connection that follows ASK. */
  closeAside(): void {
    this.#aside.close();
  }

  /** For logs and messages, without credentials. */
  describe(): string {
    const shown = describeAddress(this.#address);
    return this.mayMove && this.#node !== null ? `${shown} at ${describeNode(this.#node)}` : shown;
  }
}
