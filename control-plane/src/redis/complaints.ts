import type { Log } from '../model/ports.js';

/** What is wrong with what gateways write, logged once per change. */
export class Complaints {
  readonly #log: Log;
  /** Gateway → what is wrong with its heartbeat. */
  readonly #complaints = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Null = nothing is wrong any more. */
  note(id: string, complaint: string | null): void {
    if (this.#complaints.get(id) === (complaint ?? undefined)) return;
    if (complaint === null) this.#complaints.delete(id);
    else this.#complaints.set(id, complaint);
    const gateway = id.slice(0, 100);
    if (complaint === null) this.#log.info({ gateway }, 'heartbeat readable again');
    else this.#log.warn({ gateway, complaint }, 'heartbeat ignored');
  }

  /** Says nothing. */
  forget(id: string): void {
    this.#complaints.delete(id);
  }
}
