import type { ProviderData, ProviderRegistration } from '../../model/ports.js';
import type { MemoryLink, MemoryNodes, ProviderNode, Session } from './registry_nodes.js';

/** Which node it is, and what would be refused in its data. */
interface Owned {
  readonly service: string;
  readonly node: string;
  readonly check: (service: string, data: ProviderData) => string | null;
}

/** Keeps one provider node of the registry in memory. It looks after every change there. */
export class MemoryProvider implements ProviderRegistration {
  readonly #nodes: MemoryNodes;
  readonly #link: MemoryLink;
  readonly #own: Owned;
  #wanted: ProviderData | null = null;
  /** The newest data that was ever wanted: by it our own leftovers are known. */
  #identity: ProviderData | undefined;
  /** The session that has had the node: what another does to it then was not our loss. */
  #claimedOn: Session | null = null;
  readonly #waiting = new Set<() => void>();
  #leave: (() => void) | undefined;

  constructor(nodes: MemoryNodes, link: MemoryLink, own: Owned) {
    this.#nodes = nodes;
    this.#link = link;
    this.#own = own;
  }

  start(): Promise<void> {
    this.#leave ??= this.#nodes.onChange(() => {
      this.#work();
    });
    this.#work();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#wanted = null;
    this.#work();
    this.#leave?.();
    this.#waiting.clear();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  set(data: ProviderData, signal?: AbortSignal): Promise<void> {
    const flaw = this.#own.check(this.#own.service, data);
    if (flaw !== null) return Promise.reject(new TypeError(flaw));
    this.#wanted = data;
    this.#identity = data;
    return this.#reach(signal);
  }
  withdraw(signal?: AbortSignal): Promise<void> {
    this.#wanted = null;
    return this.#identity === undefined ? Promise.resolve() : this.#reach(signal);
  }

  #reach(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.delete(done);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const done = (): void => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      if (signal?.aborted === true) {
        stop();
        return;
      }
      signal?.addEventListener('abort', stop, { once: true });
      this.#waiting.add(done);
      this.#work();
    });
  }

  #work(): void {
    const { session } = this.#link;
    if (this.#leave === undefined || session === null || this.#identity === undefined) return;
    const { service, node } = this.#own;
    const there = this.#nodes.provider(service, node);
    const may = there === null || there.session === session || this.#isLeftover(session, there);
    const wanted = this.#wanted;
    if (wanted === null) {
      if (there !== null && may) this.#nodes.remove(service, node);
    } else if (!may) return;
    else {
      this.#claimedOn = session;
      if (there?.session !== session || there.data !== wanted)
        this.#nodes.put(service, node, wanted, session);
    }
    for (const done of [...this.#waiting]) {
      this.#waiting.delete(done);
      done();
    }
  }

  /** Of our own address, and not taken from this very session by somebody who lives. */
  #isLeftover(session: Session, { data }: ProviderNode): boolean {
    if (session === this.#claimedOn || this.#identity === undefined) return false;
    const { id, host, port } = this.#identity;
    return data?.id === id && data.host === host && data.port === port;
  }
}
