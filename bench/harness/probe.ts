import { Client } from 'undici';

/** Marks every answer with the process of the gateway that gave it. */
export function reportWorkers(conf: string): string {
  return conf.replace(
    /^( *)add_header X-Request-Id .*$/gm,
    (line, indent: string) => `${line}\n${indent}add_header X-Bench-Worker $pid always;`,
  );
}

/** One kept connection to each worker of a gateway, asking one service. */
export class Probe implements AsyncDisposable {
  private constructor(private readonly clients: ReadonlyMap<string, Client>) {}

  /** Opens connections until every one of `workers` has one. */
  static async open(url: string, host: string, workers: number): Promise<Probe> {
    const clients = new Map<string, Client>();
    const surplus: Client[] = [];
    const deadline = performance.now() + 20_000;
    while (clients.size < workers) {
      if (performance.now() > deadline) throw new Error('some workers take no connection');
      // Several at a time, or the worker that is idle takes them all.
      const few = Array.from({ length: 8 }, () => new Client(url, { pipelining: 1 }));
      const owners = await Promise.all(few.map(async (client) => (await ask(client, host)).worker));
      for (const [i, client] of few.entries()) {
        const owner = owners[i] ?? '';
        if (clients.has(owner)) surplus.push(client);
        else clients.set(owner, client);
      }
    }
    await Promise.all(surplus.map((client) => client.close()));
    return new Probe(clients);
  }

  /** Asks on every connection until all of them are answered by `instance`; resolves with the moment of the last first. */
  async until(host: string, instance: string): Promise<number> {
    const firsts = [...this.clients.values()].map(async (client) => {
      for (;;) if ((await ask(client, host)).instance === instance) return performance.now();
    });
    return Math.max(...(await Promise.all(firsts)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.clients.values()].map((client) => client.close()));
  }
}

async function ask(client: Client, host: string): Promise<{ worker: string; instance: string }> {
  const { headers, body } = await client.request({ method: 'GET', path: '/', headers: { host } });
  const { instance } = (await body.json()) as { readonly instance: string };
  return { worker: String(headers['x-bench-worker']), instance };
}
