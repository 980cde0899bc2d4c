import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { launch, type LocalProcess } from './process.js';

/** A private redis-server on 127.0.0.1 that keeps its data in `dir`; no password, no snapshots unless asked. */
export async function launchRedis(options: {
  readonly dir: string;
  readonly port: number;
  readonly extraArgs?: readonly string[];
  /** A file of its configuration, which CONFIG REWRITE may write. */
  readonly conf?: string;
  /** Absent: this process's own. */
  readonly env?: NodeJS.ProcessEnv;
}): Promise<LocalProcess> {
  mkdirSync(options.dir, { recursive: true });
  return launch({
    name: `redis-server on port ${String(options.port)}`,
    command: 'redis-server',
    ...(options.env ? { env: options.env } : {}),
    args: [
      ...(options.conf === undefined ? [] : [options.conf]),
      ...['--port', String(options.port), '--bind', '127.0.0.1', '--dir', options.dir],
      ...['--save', '', '--appendonly', 'no', '--daemonize', 'no', ...(options.extraArgs ?? [])],
    ],
    logFile: join(options.dir, 'redis.log'),
    ready: () => ask(options.port, 'PING\r\n', '+PONG'),
  });
}

/** Sends `question` to a local port and returns whether the answer contains `expected`; false on any failure. */
export function ask(port: number, question: string, expected: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    let answer = '';
    socket.setTimeout(1_000, () => {
      end(false);
    });
    socket.on('error', () => {
      end(false);
    });
    socket.once('close', () => {
      end(answer.includes(expected));
    });
    socket.once('connect', () => socket.write(question));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (answer.includes(expected)) end(true);
    });
  });
}
