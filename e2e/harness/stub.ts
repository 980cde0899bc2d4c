import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance that does what the scenario says, and notes each request once its body has come whole. */
export interface Stub extends AsyncDisposable {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly seen: readonly Seen[];
  stop(): Promise<void>;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Bytes of its body. */
  readonly length: number;
  /** 1 for the first request of its connection. */
  readonly turn: number;
}

export type Answering = (response: ServerResponse, seen: Seen, request: IncomingMessage) => void;

/** Answers by `answering`; connections are kept. */
export async function startStub(answering: Answering): Promise<Stub> {
  const seen: Seen[] = [];
  const turns = new WeakMap<object, number>();
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const turn = (turns.get(request.socket) ?? 0) + 1;
    turns.set(request.socket, turn);
    let length = 0;
    request.on('data', (chunk: Buffer) => (length += chunk.length));
    request.on('error', () => undefined); // cut off by the other side
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, length, turn };
      seen.push(one);
      answering(response, one, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    })();
    return stopping;
  };
  const id = `127.0.0.1:${String(port)}`;
  return { id, version: 'v1', host: '127.0.0.1', port, seen, stop, [Symbol.asyncDispose]: stop };
}

/** Answers every request with `status` and its name. */
export function saying(status: number): Answering {
  return (response) => {
    response.statusCode = status;
    response.end(`instance says ${String(status)}`);
  };
}

/** Takes the request and drops the connection. */
export const resetting: Answering = (_response, _seen, request) => {
  request.socket.destroy();
};

/** Takes the request and says nothing. */
export const hanging: Answering = () => undefined;
