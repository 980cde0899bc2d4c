import { once } from 'node:events';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import type { Instance } from './instance.js';
import { until } from './until.js';

/** A slow request that an instance keeps open. */
export interface OpenRequest {
  /** Its status, 0 if the connection was cut. Never rejects. */
  readonly answered: Promise<number>;
}

let tags = 0;
const TRIES = 40;

/** Sends slow GETs through the gateway until `instance` has one; the others end by themselves and are waited for too. */
export async function openRequest(url: string, instance: Instance, seconds: number): Promise<OpenRequest> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const tag = `open-${String((tags += 1))}`;
    const agent = new Agent({ pipelining: 0 });
    const answered = request(`${url}/?delay=${String(seconds)}&tag=${tag}`, { dispatcher: agent })
      .then(async (answer) => {
        await answer.body.dump();
        return answer.statusCode;
      })
      .catch(() => 0)
      .finally(() => void agent.destroy());
    if (await came(instance, tag)) return { answered };
  }
  throw new Error(`no request came to ${instance.id}`);
}

/** Opens WebSockets through the gateway until `instance` has one, which is given back. */
export async function openSocket(url: string, instance: Instance): Promise<WebSocket> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const tag = `open-${String((tags += 1))}`;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?tag=${tag}`);
    await once(socket, 'open');
    if (await came(instance, tag)) return socket;
    socket.terminate();
  }
  throw new Error(`no WebSocket came to ${instance.id}`);
}

/** True if the tagged request is at that instance; it is distinguished from one that is elsewhere by waiting a little. */
async function came(instance: Instance, tag: string): Promise<boolean> {
  const here = (): boolean => instance.arrivals.some(({ url }) => url.endsWith(`tag=${tag}`));
  return until('the request is here', here, { timeoutMs: 250, everyMs: 5 }).catch(() => false);
}
