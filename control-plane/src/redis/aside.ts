import type { HostPort } from '../model/field.js';
import { err, ok, type Result } from '../model/result.js';
import { openOnce, type Access, type Connection } from './connection.js';

/** The way to the node that takes over our slot, while only some of our keys are there. One connection, kept until `close`. */
export class Aside {
  readonly #access: Access;
  #to: { readonly node: HostPort; readonly opened: Promise<Result<Connection, string>> } | undefined;

  constructor(access: Access) {
    this.#access = access;
  }

  /** Runs one command there, as the server said that asked us to. Never twice. */
  async run(node: HostPort, command: string, args: readonly string[]): Promise<Result<unknown, string>> {
    if (this.#to?.node.host !== node.host || this.#to.node.port !== node.port) {
      this.close();
      this.#to = { node, opened: openOnce(node, this.#access) };
    }
    const current = this.#to;
    const opened = await current.opened;
    if (!opened.ok) {
      if (this.#to === current) this.#to = undefined;
      return opened;
    }
    try {
      const [, answer] = await Promise.all([
        opened.value.call('ASKING'),
        opened.value.call(command, [...args]),
      ]);
      return ok(answer);
    } catch (error) {
      if (opened.value.status !== 'ready' && this.#to === current) this.#to = undefined;
      return err(error instanceof Error ? error.message : String(error));
    }
  }

  close(): void {
    const to = this.#to;
    this.#to = undefined;
    void to?.opened.then((opened) => {
      if (opened.ok) opened.value.disconnect();
    });
  }
}
