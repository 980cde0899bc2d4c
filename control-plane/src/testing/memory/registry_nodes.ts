import type { ProviderData } from '../../model/ports.js';

/** Whose the nodes are that go with it. */
export type Session = symbol;

/** One registration as it lies there; `data` null = nonsense. */
export interface ProviderNode {
  readonly data: ProviderData | null;
  readonly session: Session;
  /** Which life of the node it is; the greater string is the younger. */
  readonly incarnation: string;
}

/** What there is of one service. It is replaced when anything in it changes. */
export interface ServiceNodes {
  readonly providers: ReadonlyMap<string, ProviderNode>;
  /** Controller → whose node it is. */
  readonly consumers: ReadonlyMap<string, Session>;
}

const NOTHING: ServiceNodes = { providers: new Map(), consumers: new Map() };

/** The nodes of a registry. Everything changes at once, in the order of the calls, and whoever listens hears it. */
export class MemoryNodes {
  /** Which life of the whole registry it is: another one after it was wiped. */
  life = 1;
  /** Services whose consumers may not be written. */
  readonly closed = new Set<string>();
  readonly #services = new Map<string, ServiceNodes>();
  readonly #listeners = new Set<() => void>();
  #writes = 0;

  /** A connection to it. A `short` session ends with its connection, and with it its nodes; a `long` one lives on for good. */
  link(session: 'short' | 'long' = 'short'): MemoryLink {
    return new MemoryLink(this, session);
  }

  services(): ReadonlyMap<string, ServiceNodes> {
    return this.#services;
  }
  provider(service: string, node: string): ProviderNode | null {
    return this.#services.get(service)?.providers.get(node) ?? null;
  }

  /** A service that exists, with nobody in it so far. */
  create(service: string): void {
    this.#change(service, (nodes) => nodes);
  }
  /** Writes a node, which goes on if it was of the same session, and otherwise begins anew. */
  put(service: string, node: string, data: ProviderData | null, session: Session): void {
    this.#change(service, ({ providers, consumers }) => {
      const before = providers.get(node);
      this.#writes += 1;
      const incarnation =
        before?.session === session ? before.incarnation : this.#writes.toString(16).padStart(16, '0');
      return { providers: new Map(providers).set(node, { data, session, incarnation }), consumers };
    });
  }
  remove(service: string, node: string): void {
    this.#change(service, ({ providers, consumers }) => ({
      providers: new Map([...providers].filter(([name]) => name !== node)),
      consumers,
    }));
  }
  /** True if the controller's node is there now: a service that does not exist is not made. */
  enter(service: string, id: string, session: Session): boolean {
    if (!this.#services.has(service)) return false;
    this.#change(service, (nodes) => ({ ...nodes, consumers: new Map(nodes.consumers).set(id, session) }));
    return true;
  }
  leave(service: string, id: string): void {
    if (!this.#services.has(service)) return;
    this.#change(service, (nodes) => ({
      ...nodes,
      consumers: new Map([...nodes.consumers].filter(([one]) => one !== id)),
    }));
  }
  /** Everything of a session goes. */
  expire(session: Session): void {
    for (const [service, { providers, consumers }] of this.#services) {
      for (const [node, { session: owner }] of providers) if (owner === session) this.remove(service, node);
      for (const [id, owner] of consumers) if (owner === session) this.leave(service, id);
    }
  }
  /** Everything is gone, as after the loss of a disk. */
  wipe(): void {
    this.life += 1;
    this.#services.clear();
    this.changed();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #change(service: string, edit: (nodes: ServiceNodes) => ServiceNodes): void {
    this.#services.set(service, edit(this.#services.get(service) ?? NOTHING));
    this.changed();
  }
}

/** One connection, with a session of its own each time that it is made. */
export class MemoryLink {
  readonly #nodes: MemoryNodes;
  readonly #kind: 'short' | 'long';
  #session: Session = Symbol('session');
  #away: string | null = null;

  constructor(nodes: MemoryNodes, kind: 'short' | 'long') {
    this.#nodes = nodes;
    this.#kind = kind;
  }

  /** While it is not null, nothing is answered and nothing is done, for this reason. */
  get away(): string | null {
    return this.#away;
  }
  set away(reason: string | null) {
    const before = this.#away;
    this.#away = reason;
    if (before !== null && reason === null) this.#session = Symbol('session');
    if (before === null && reason !== null && this.#kind === 'short') this.#nodes.expire(this.#session);
    this.#nodes.changed();
  }
  /** Null while it is away. */
  get session(): Session | null {
    return this.#away === null ? this.#session : null;
  }
}
