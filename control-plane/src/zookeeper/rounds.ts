import { ok, type Result } from '../model/result.js';
import type { ZooKeeperConnection } from './connection.js';

/** Work over the present connection, one round at a time; what is asked for during a round makes one more. */
export class Rounds {
  readonly #connection: () => ZooKeeperConnection | null;
  readonly #round: (connection: ZooKeeperConnection) => Promise<Result<null, string>>;
  #again = false;
  #running: Promise<Result<null, string>> | undefined;

  constructor(
    connection: () => ZooKeeperConnection | null,
    round: (connection: ZooKeeperConnection) => Promise<Result<null, string>>,
  ) {
    this.#connection = connection;
    this.#round = round;
  }

  /** True if another round follows the one that runs. */
  get isAsked(): boolean {
    return this.#again;
  }
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Asks for a round that begins from now on. Resolves with the last round's outcome once nothing more is asked for. */
  ask(): Promise<Result<null, string>> {
    this.#again = true;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #run(): Promise<Result<null, string>> {
    let result: Result<null, string> = ok(null);
    while (this.#again) {
      this.#again = false;
      const connection = this.#connection();
      if (connection !== null) result = await this.#round(connection);
    }
    return result;
  }
}
