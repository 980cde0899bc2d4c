import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * `pass`: both ways. `swallow`: nothing goes either way, and nobody notices: half-open. `swallow_answers`: the server
 * hears the client, the client hears nothing. `swallow_requests`: the other way round. `hold_requests`, `hold_answers`: what goes that way waits, and
 * is delivered late, once the mode is another one, even if its sender has gone meanwhile. `cut`: connections are destroyed and new ones refused at once.
 */
export type ProxyMode =
  | 'pass'
  | 'swallow'
  | 'swallow_answers'
  | 'swallow_requests'
  | 'hold_requests'
  | 'hold_answers'
  | 'cut';

/** A door on 127.0.0.1 in front of a server, to take the network away from between the two. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Counts for connections that are open and for those to come. One that has lost a byte stays silent for good. */
  setMode(mode: ProxyMode): void;
  /** How many clients are connected now. */
  connections(): number;
  /** How many have ever knocked, the refused included. */
  knocks(): number;
  /** How many bytes wait to be delivered late. */
  held(): number;
  close(): Promise<void>;
}

/** What is done with the bytes of one direction. */
type Fate = 'pass' | 'swallow' | 'hold';

const REQUESTS: Readonly<Record<ProxyMode, Fate>> = {
  ...{ pass: 'pass', cut: 'pass', swallow: 'swallow' },
  ...{ swallow_answers: 'pass', swallow_requests: 'swallow', hold_requests: 'hold', hold_answers: 'pass' },
};
const ANSWERS: Readonly<Record<ProxyMode, Fate>> = {
  ...{ pass: 'pass', cut: 'swallow', swallow: 'swallow' },
  ...{ swallow_answers: 'swallow', swallow_requests: 'pass', hold_requests: 'pass', hold_answers: 'hold' },
};

/** Starts a proxy to a port of 127.0.0.1. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  let mode: ProxyMode = 'pass';
  let knocks = 0;
  const clients = new Set<Socket>();
  const carriers = new Set<Carrier>();
  const server = createServer((client) => {
    knocks += 1;
    if (mode === 'cut') {
      client.destroy();
      return;
    }
    clients.add(client);
    const target = connect({ port: targetPort, host: '127.0.0.1' });
    const requests = new Carrier(client, target, () => REQUESTS[mode]);
    const answers = new Carrier(target, client, () => ANSWERS[mode]);
    for (const one of [requests, answers]) carriers.add(one);
    client.once('close', () => {
      clients.delete(client);
      requests.end();
    });
    target.once('close', () => {
      for (const one of [requests, answers]) carriers.delete(one);
      if (mode !== 'swallow') client.destroy(); // a lost machine does not say goodbye
    });
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
      for (const one of carriers) one.drop();
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
      for (const one of carriers) one.deliver();
    },
    connections: () => clients.size,
    knocks: () => knocks,
    held: () => [...carriers].reduce((sum, one) => sum + one.held, 0),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** One direction of one connection. */
class Carrier {
  readonly #to: Socket;
  readonly #fate: () => Fate;
  #waiting: Buffer[] = [];
  #silent = false;
  #ended = false;

  constructor(from: Socket, to: Socket, fate: () => Fate) {
    this.#to = to;
    this.#fate = fate;
    from.on('error', () => undefined); // 'close' follows and ends both
    from.on('data', (chunk) => {
      this.#silent ||= fate() === 'swallow';
      if (!this.#silent) this.#waiting.push(chunk);
      this.deliver();
    });
  }

  get held(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** Writes what waits, unless it is still to be held. */
  deliver(): void {
    if (this.#fate() === 'hold') return;
    for (const chunk of this.#waiting.splice(0)) if (this.#to.writable) this.#to.write(chunk);
    if (this.#ended) this.#to.destroySoon();
  }

  /** The sender has gone: what it sent is still delivered. */
  end(): void {
    this.#ended = true;
    this.deliver();
  }

  drop(): void {
    this.#waiting = [];
    this.#to.destroy();
  }
}
