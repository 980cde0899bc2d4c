import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * `pass`: both ways. `swallow`: nothing goes either way, and nobody notices: half-open. `swallow_answers`: the server
 * hears the client, the client hears nothing. `cut`: connections are destroyed and new ones refused at once.
 */
export type ProxyMode = 'pass' | 'swallow' | 'swallow_answers' | 'cut';

/** A door on 127.0.0.1 in front of a server, to take the network away from between the two. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Counts for connections that are open and for those to come. One that has lost a byte stays silent for good. */
  setMode(mode: ProxyMode): void;
  /** How many clients are connected now. */
  connections(): number;
  /** How many have ever knocked, the refused included. */
  knocks(): number;
  close(): Promise<void>;
}

/** Starts a proxy to a port of 127.0.0.1. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  let mode: ProxyMode = 'pass';
  let knocks = 0;
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    knocks += 1;
    if (mode === 'cut') {
      client.destroy();
      return;
    }
    clients.add(client);
    const target = connect({ port: targetPort, host: '127.0.0.1' });
    client.once('close', () => {
      clients.delete(client);
      target.destroy();
    });
    target.once('close', () => {
      if (mode !== 'swallow') client.destroy(); // a lost machine does not say goodbye
    });
    carry(client, target, () => mode === 'swallow');
    carry(target, client, () => mode !== 'pass');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy was given no port');
  const cut = (): void => {
    for (const client of clients) client.destroy();
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      cut();
      server.close(() => {
        resolve();
      });
    });
    return closing;
  };
  return {
    port: address.port,
    setMode: (next) => {
      mode = next;
      if (mode === 'cut') cut();
    },
    connections: () => clients.size,
    knocks: () => knocks,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function carry(from: Socket, to: Socket, swallows: () => boolean): void {
  let silent = false;
  from.on('error', () => undefined); // 'close' follows and ends both
  from.on('data', (chunk) => {
    silent ||= swallows();
    if (!silent && to.writable) to.write(chunk);
  });
}
