import { connect, systemClock, type ZooKeeperConnection } from '../../control-plane/src/testkit.js';

/** How many ephemeral nodes one session owns: a session that owns more than 2 MB of paths keeps ZooKeeper from starting again. */
const PER_SESSION = 5_000;
/** Nodes created in one transaction. */
const PER_TRANSACTION = 500;

/** Ephemeral registrations of `services` × `instances` under /services, in as few sessions as are wise. */
export class Registrants implements AsyncDisposable {
  readonly #sessions: ZooKeeperConnection[] = [];
  /** Path → the session that owns it. */
  readonly #owners = new Map<string, ZooKeeperConnection>();

  private constructor(
    readonly services: readonly string[],
    readonly instances: number,
  ) {}

  /** Resolves once ZooKeeper has all of them. */
  static async register(port: number, services: readonly string[], instances: number): Promise<Registrants> {
    const made = new Registrants(services, instances);
    const nodes = services.flatMap((_, s) => Array.from({ length: instances }, (_, n) => [s, n] as const));
    for (let start = 0; start < nodes.length; start += PER_SESSION)
      await made.#open(port, nodes.slice(start, start + PER_SESSION));
    return made;
  }

  /** Writes another weight into the registration of instance `n` of the service at `s`. */
  async weigh(s: number, n: number, weight: number): Promise<void> {
    const path = this.#pathOf(s, n);
    const set = await this.#owners.get(path)?.setData(path, dataOf(s, n, weight), -1);
    if (set?.ok !== true) throw new Error(`${path}: ${set?.error.message ?? 'nobody owns it'}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }

  #pathOf(s: number, n: number): string {
    return `/services/${this.services[s] ?? ''}/providers/node-${n}`;
  }

  async #open(port: number, nodes: readonly (readonly [number, number])[]): Promise<void> {
    const opened = await connect({
      server: { host: '127.0.0.1', port },
      sessionTimeoutMs: 60_000,
      connectTimeoutMs: 10_000,
      clock: systemClock,
    });
    if (!opened.ok) throw new Error(opened.error);
    const session = opened.value;
    this.#sessions.push(session);
    const folders = [...new Set(nodes.filter(([, n]) => n === 0).map(([s]) => this.services[s] ?? ''))];
    const nothing = Buffer.alloc(0);
    const creates = [
      ...folders.flatMap((service) =>
        [`/services/${service}`, `/services/${service}/providers`, `/services/${service}/consumers`].map(
          (path) => ({ kind: 'create' as const, path, data: nothing }),
        ),
      ),
      ...nodes.map(([s, n]) => {
        const path = this.#pathOf(s, n);
        this.#owners.set(path, session);
        return { kind: 'create' as const, path, data: dataOf(s, n, 100), ephemeral: true };
      }),
    ];
    for (let start = 0; start < creates.length; start += PER_TRANSACTION) {
      const done = await session.transaction(creates.slice(start, start + PER_TRANSACTION));
      if (!done.ok) throw new Error(done.error.message);
    }
  }
}

function dataOf(s: number, n: number, weight: number): Buffer {
  const host = `10.${String(s >> 8)}.${String(s % 256)}.${String(n + 1)}`;
  return Buffer.from(JSON.stringify({ id: `i-${n}`, host, port: 8080, version: 'v1', weight }));
}
