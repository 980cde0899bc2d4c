import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { untilValue } from './until.js';

/*
 * Both ends of HTTP as bytes. Whoever behaves is played by stub.ts and instance.ts; these say what no library would let one
 * say: half a head, two answers, a reset in the middle of a body, a FIN before the answer.
 */

/** A request as it came: its head without the empty line, and its body as far as Content-Length shows. */
export interface RawRequest {
  readonly head: string;
  readonly body: string;
}

/** One TCP connection; text is Latin-1, so that a character is a byte. */
export class RawConnection {
  private bytes: Buffer = Buffer.alloc(0);
  private taken = 0;
  private readonly state = { ended: false, closed: false, error: '' };

  constructor(readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => (this.bytes = Buffer.concat([this.bytes, chunk])));
    socket.on('end', () => (this.state.ended = true));
    socket.on('close', () => (this.state.closed = true));
    socket.on('error', (error) => (this.state.error = error.message));
  }

  /** Everything that came so far. */
  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** What came and was not taken by `request` yet. */
  get rest(): string {
    return this.bytes.subarray(this.taken).toString('latin1');
  }

  /** True once the other side has closed, or half-closed, the connection. */
  get over(): boolean {
    return this.state.ended || this.state.closed;
  }

  /** True if the connection was reset. */
  get reset(): boolean {
    return this.state.error.includes('ECONNRESET') || this.state.error.includes('EPIPE');
  }

  /** Hands the bytes to the kernel; what the other side no longer takes is dropped in silence. */
  send(data: string | Buffer): void {
    if (this.socket.writable)
      this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  /** Sends in pieces with a pause between them, so that they come in separately. */
  async drip(pieces: readonly string[], ms = 20): Promise<void> {
    for (const piece of pieces) {
      this.send(piece);
      await this.pause(ms);
    }
  }

  /** A pause that is part of what is said. */
  async pause(ms: number): Promise<void> {
    await pause(ms);
  }

  /** Closes this direction only: FIN after what was sent. */
  halfClose(): void {
    this.socket.end();
  }

  /** Sends what was written, then closes both directions; what still comes in is answered by RST. */
  close(): void {
    this.socket.destroySoon();
  }

  /** Cuts with RST. */
  cut(): void {
    this.socket.resetAndDestroy();
  }

  /** Resolves with the next request; rejects if the other side closes before it has come whole. */
  async request(): Promise<RawRequest> {
    const parsed = await this.read('a request', () => this.parse());
    this.taken += Buffer.byteLength(parsed.head, 'latin1') + 4 + Buffer.byteLength(parsed.body, 'latin1');
    return parsed;
  }

  /** Resolves with the next request's head, as soon as that is there, whatever is to come of its body. */
  async head(): Promise<string> {
    const head = await this.read('a head', () => {
      const end = this.rest.indexOf('\r\n\r\n');
      return end < 0 ? null : this.rest.slice(0, end);
    });
    this.taken += Buffer.byteLength(head, 'latin1') + 4;
    return head;
  }

  /** Resolves once what came contains `pattern`; rejects after `timeoutMs`, or if the other side closed without it. */
  async has(pattern: RegExp, timeoutMs = 5_000): Promise<RegExpExecArray> {
    return this.read(String(pattern), () => pattern.exec(this.text), timeoutMs);
  }

  /** Resolves once the other side has closed; rejects after `timeoutMs`. */
  async closed(timeoutMs = 5_000): Promise<void> {
    await untilValue(
      'the end of the connection',
      () => ({ over: this.over, text: this.text.slice(-300) }),
      ({ over }) => over,
      { timeoutMs, everyMs: 5 },
    );
  }

  private parse(): RawRequest | null {
    const end = this.rest.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const head = this.rest.slice(0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const body = this.rest.slice(end + 4, end + 4 + length);
    return body.length < length ? null : { head, body };
  }

  private async read<T>(what: string, probe: () => T | null, timeoutMs = 60_000): Promise<T> {
    const look = (): { value: T | null; over: boolean; text: string } => {
      const { over } = this;
      return { value: probe(), over, text: this.text.slice(-300) };
    };
    const { value } = await untilValue(what, look, (now) => now.value !== null || now.over, {
      timeoutMs,
      everyMs: 2,
    });
    if (value === null) throw new Closed(`the connection ended before ${what}: ${this.text.slice(-300)}`);
    return value;
  }
}

/** The other side closed before it said what was awaited. */
class Closed extends Error {}

/** What one end says and hears on a connection; `turn` is 1 for the first of an instance. */
export type Talk = (line: RawConnection, turn: number) => Promise<void> | void;

/** An instance in bytes. */
export interface RawInstance extends AsyncDisposable {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  /** Every connection so far, oldest first. */
  readonly lines: readonly RawConnection[];
  /** How many of them the other side has not closed. */
  readonly open: () => number;
  /** What a talk threw; a connection that ended early is none. */
  readonly failures: readonly unknown[];
  stop(): Promise<void>;
}

/** Listens on a free port and runs a talk on each connection. What the talk leaves open stays open. */
export async function startRawInstance(talk: Talk, version = 'v1'): Promise<RawInstance> {
  const lines: RawConnection[] = [];
  const failures: unknown[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const line = new RawConnection(socket);
    lines.push(line);
    Promise.resolve(talk(line, lines.length)).catch((error: unknown) => {
      if (!(error instanceof Closed)) failures.push(error);
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
      for (const { socket } of lines) socket.destroy();
      await closed;
    })();
    return stopping;
  };
  const id = `127.0.0.1:${port}`;
  const open = (): number => lines.filter(({ over }) => !over).length;
  return { id, version, host: '127.0.0.1', port, lines, open, failures, stop, [Symbol.asyncDispose]: stop };
}

/** Connects a client in bytes. */
export async function openRawClient(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const line = new RawConnection(socket);
  await once(socket, 'connect');
  return line;
}

/** Answers every request of a connection with the same bytes, and keeps it open. */
export function answering(bytes: string): Talk {
  return async (line) => {
    for (;;) {
      await line.request();
      line.send(bytes);
    }
  };
}

/** Answers the first request with these bytes, one after the other 20 ms apart, and closes. */
export function sayingOnce(...pieces: readonly string[]): Talk {
  return async (line) => {
    await line.request();
    await line.drip(pieces);
    line.close();
  };
}

/** A whole answer with a length. */
export function whole(body = 'good', status = '200 OK', headers: readonly string[] = []): string {
  return [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${body.length}`, '', body].join('\r\n');
}

/** The answers in what a client got: their status codes, in order. A body must not look like a head. */
export function statuses(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3})\b/g)].map(([, code]) => Number(code));
}
