import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { UpgradeBody } from '../../control-plane/src/testkit.js';
import type { RegisteredInstance } from './registered_instance.js';

/** One call as it came in. */
export interface UpgradeCall {
  readonly key: string;
  readonly body: UpgradeBody;
}

/** Instances that are upgraded by a webhook, as a deployment tool would do it. */
export interface Upgrades extends AsyncDisposable {
  readonly url: string;
  /** Every call that came in, repeats too, oldest first. */
  readonly calls: readonly UpgradeCall[];
  /** Keys that were acted on, in their order: a repeat is answered and not acted on. */
  readonly acted: readonly string[];
  /** Requests to a service that were open at an instance at the moment at which it was stopped: a sentence each. */
  readonly cut: (service: string) => readonly string[];
  /** What runs now, by id. */
  readonly instances: ReadonlyMap<string, RegisteredInstance>;
  /** Takes an instance into its care. */
  add(instance: RegisteredInstance): void;
  /** What a call is answered with from now on; 204 at first. */
  answerWith(status: number): void;
  /** Waits for what is under way. */
  idle(): Promise<void>;
}

/** How a new instance comes up in the place of an old one; null = it does not. */
export type StartVersion = (instance: {
  readonly id: string;
  readonly port: number;
  readonly version: string;
}) => Promise<RegisteredInstance | null>;

/**
 * Starts the server. `startVersion` is called once the old instance is stopped and its registration gone; `instead` of all that
 * an instance may be made another version in place.
 */
export async function startUpgrades(
  startVersion: StartVersion,
  options: { readonly instead?: (id: string, version: string) => Promise<void> } = {},
): Promise<Upgrades> {
  const calls: UpgradeCall[] = [];
  const acted: string[] = [];
  const instances = new Map<string, RegisteredInstance>();
  const cut: { readonly service: string; readonly text: string }[] = [];
  let status = 204;
  let work: Promise<unknown> = Promise.resolve();
  const restart = async (id: string, port: number, version: string): Promise<void> => {
    if (options.instead) {
      await options.instead(id, version);
      return;
    }
    const old = instances.get(id);
    for (const { at, url, ended } of old?.arrivals ?? [])
      if (old && ended === null)
        cut.push({ service: old.service, text: `${id} had ${url} open for ${String(Date.now() - at)} ms` });
    await old?.withdraw();
    instances.delete(id);
    const next = await startVersion({ id, port, version });
    if (next) instances.set(id, next);
  };
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const key = String(request.headers['idempotency-key']);
    const body = JSON.parse(text) as UpgradeBody;
    calls.push({ key, body });
    response.statusCode = status;
    response.end();
    if (status >= 300 || acted.includes(key)) return;
    acted.push(key);
    work = Promise.all([work, ...body.instances.map(({ id, port }) => restart(id, port, body.to))]);
    await work;
  };
  const server = createServer((request, response) => {
    take(request, response).catch((error: unknown) => {
      response.destroy();
      process.stderr.write(`upgrade failed: ${String(error)}\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}/upgrade`,
    calls,
    acted,
    instances,
    cut: (service) => cut.filter((one) => one.service === service).map(({ text }) => text),
    add: (instance) => {
      instances.set(instance.id, instance);
    },
    answerWith: (next) => {
      status = next;
    },
    idle: async () => {
      await work;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
