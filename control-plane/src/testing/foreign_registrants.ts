import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/*
 * Registrants that are none of ours: kazoo (Python) and ZooKeeper's own command line, each with a client library of its
 * own. What they write is what strangers write: persistent nodes, access lists, any bytes.
 */

/** `open`: anybody may do all. `read_only`: anybody may read. `own`: nobody else may read. `write_only`: anybody may write, not read. */
export type Access = 'open' | 'read_only' | 'own' | 'write_only';

export interface CreateOptions {
  readonly ephemeral?: boolean;
  readonly sequence?: boolean;
  /** Default `open`. */
  readonly acl?: Access;
}

/** One session of kazoo. Every call resolves once ZooKeeper has answered, and rejects with kazoo's error. */
export interface KazooRegistrant extends AsyncDisposable {
  /** Creates the node and the ones above it, which have the same access if they are new; resolves with its path. */
  create(path: string, data: Buffer | string | object, options?: CreateOptions): Promise<string>;
  set(path: string, data: Buffer | string | object): Promise<void>;
  protect(path: string, acl: Access): Promise<void>;
  /** With all below it. */
  remove(path: string): Promise<void>;
  /** Ends the process without closing the session, as a crash would. */
  crash(): Promise<void>;
  /** Closes the session: its ephemeral nodes go at once. */
  close(): Promise<void>;
}

const DRIVER = fileURLToPath(new URL('kazoo_registrant.py', import.meta.url));
const CLASS_PATH = ['zookeeper.jar', 'slf4j-simple.jar'].map((jar) => `/usr/share/java/${jar}`).join(':');

interface Answer {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: string;
}

/** Starts a session of kazoo at `port` of this machine. */
export async function startKazoo(port: number, sessionMs = 4_000): Promise<KazooRegistrant> {
  const child = spawn('/usr/bin/python3', [DRIVER, `127.0.0.1:${String(port)}`, String(sessionMs / 1_000)], {
    stdio: 'pipe',
  });
  const waiting: ((answer: Answer) => void)[] = [];
  let complaints = '';
  child.stderr.on('data', (bytes: Buffer) => (complaints += bytes.toString('utf8')));
  const exited = once(child, 'exit').then(() => {
    for (const give of waiting.splice(0))
      give({ ok: false, error: `kazoo ended: ${complaints.slice(-500)}` });
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.(JSON.parse(line) as Answer);
  });
  const answered = async (ask?: object): Promise<unknown> => {
    const answer = await new Promise<Answer>((resolve) => {
      waiting.push(resolve);
      if (ask) child.stdin.write(`${JSON.stringify(ask)}\n`);
    });
    if (!answer.ok) throw new Error(answer.error);
    return answer.value;
  };
  await answered();
  const bytes = (data: Buffer | string | object): string =>
    (Buffer.isBuffer(data)
      ? data
      : Buffer.from(typeof data === 'string' ? data : JSON.stringify(data))
    ).toString('base64');
  const close = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  return {
    create: async (path, data, options = {}) =>
      String(await answered({ do: 'create', path, data: bytes(data), ...options })),
    set: async (path, data) => {
      await answered({ do: 'set', path, data: bytes(data) });
    },
    protect: async (path, acl) => {
      await answered({ do: 'protect', path, acl });
    },
    remove: async (path) => {
      await answered({ do: 'delete', path });
    },
    crash: async () => {
      child.stdin.write(`${JSON.stringify({ do: 'drop' })}\n`);
      await exited;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Runs `commands` one after the other in one session of ZooKeeper's own command line (`create -e`, `setAcl`, `addauth`, …) and
 * resolves with what it printed. The session ends with the call, and its ephemeral nodes with it.
 */
export function zkCli(port: number, commands: readonly string[]): Promise<string> {
  const server = ['-server', `127.0.0.1:${String(port)}`];
  const java = ['-Xmx64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', CLASS_PATH];
  return new Promise((resolve, reject) => {
    const main = 'org.apache.zookeeper.ZooKeeperMain';
    const child = execFile('java', [...java, main, ...server], (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stderr.slice(-1_000)}`));
      else resolve(stdout + stderr);
    });
    child.stdin?.end([...commands, 'quit', ''].join('\n'));
  });
}
