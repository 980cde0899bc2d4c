import { once } from 'node:events';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { keepOpen, type Instance } from './instance.js';
import { until } from './until.js';

/** A request that an instance keeps open until `end`. */
export interface OpenRequest {
  /** Its status, 0 if the connection was cut. Never rejects. */
  readonly answered: Promise<number>;
  /** Has the instance answer; resolves with the status. */
  end(): Promise<number>;
}

let tags = 0;
const TRIES = 40;

/** Sends GETs through the gateway until `instance` has one, which it keeps open. */
export async function openRequest(url: string, instance: Instance): Promise<OpenRequest> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const tag = `open-${String((tags += 1))}`;
    const kept = keepOpen(tag);
    const agent = new Agent({ pipelining: 0 });
    const answered = request(`${url}/?open=${tag}`, { dispatcher: agent })
      .then(async (answer) => {
        await answer.body.dump();
        return answer.statusCode;
      })
      .catch(() => 0)
      .finally(() => void agent.destroy());
    const open: OpenRequest = {
      answered,
      end: () => {
        kept.end();
        return answered;
      },
    };
    await until('an instance has the request', () => kept.instance);
    if (kept.instance === instance.id) return open;
    await open.end();
  }
  throw new Error(`no request came to ${instance.id}`);
}

/** Opens WebSockets through the gateway until `instance` has one, which is given back. */
export async function openSocket(url: string, instance: Instance): Promise<WebSocket> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const tag = `open-${String((tags += 1))}`;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?tag=${tag}`);
    await once(socket, 'open');
    // The handshake is over, so whoever has it has noted it.
    if (instance.arrivals.some(({ url: asked }) => asked.endsWith(`tag=${tag}`))) return socket;
    socket.terminate();
  }
  throw new Error(`no WebSocket came to ${instance.id}`);
}
