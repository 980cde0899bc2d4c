import type { ConsumerRegistration } from '../../model/ports.js';
import type { MemoryLink, MemoryNodes } from './registry_nodes.js';

/** The consumer nodes of one controller in the registry in memory. It looks after every change there. */
export class MemoryConsumers implements ConsumerRegistration {
  readonly #nodes: MemoryNodes;
  readonly #link: MemoryLink;
  readonly #id: string;
  #wanted: ReadonlySet<string> = new Set();
  readonly #refused = new Map<string, { readonly path: string; readonly reason: string }>();
  #leave: (() => void) | undefined;

  constructor(nodes: MemoryNodes, link: MemoryLink, id: string) {
    this.#nodes = nodes;
    this.#link = link;
    this.#id = id;
  }

  start(): Promise<void> {
    this.#leave ??= this.#nodes.onChange(() => {
      this.#work();
    });
    this.#work();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.follow([]);
    this.#leave?.();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  follow(services: readonly string[]): void {
    this.#wanted = new Set(services);
    for (const service of this.#refused.keys()) if (!this.#wanted.has(service)) this.#refused.delete(service);
    this.#work();
  }
  refused(): ReadonlyMap<string, { readonly path: string; readonly reason: string }> {
    return this.#refused;
  }

  #work(): void {
    const { session } = this.#link;
    if (this.#leave === undefined || session === null) return;
    for (const [service, { consumers }] of [...this.#nodes.services()]) {
      const owner = consumers.get(this.#id);
      if (!this.#wanted.has(service)) {
        if (owner !== undefined) this.#nodes.leave(service, this.#id);
      } else if (this.#nodes.closed.has(service))
        this.#refused.set(service, { path: `/memory/${service}/consumers/${this.#id}`, reason: 'no auth' });
      else {
        this.#refused.delete(service);
        if (owner !== session) this.#nodes.enter(service, this.#id, session);
      }
    }
  }
}
