import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { launch, type LocalProcess } from './process.js';
import { ask } from './redis.js';

export interface GatewayLaunch {
  readonly id: string;
  /** nginx's prefix, the conf's run directory: everything it writes lies below it. */
  readonly dir: string;
  /** Where the conf listens on 127.0.0.1 for traffic, and for /healthz. */
  readonly port: number;
  readonly adminPort: number;
  /** The rendered nginx.conf (`daemon off`, so that the child is the master). */
  readonly conf: string;
  /** Another nginx or OpenResty than the one on the PATH. */
  readonly nginx?: string;
  /** Added to this process' environment, like EBBGATE_REDIS_PASSWORD. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long `stop` lets open requests end. Default 5 s. */
  readonly graceMs?: number;
}

/** A running nginx; `pid` is its master's. */
export interface LocalGateway extends LocalProcess {
  readonly id: string;
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly adminUrl: string;
  readonly errorLog: string;
  readonly accessLog: string;
  /** The master's children, exiting ones included. */
  workers(): readonly number[];
  /** Has nginx read its conf again (`conf` replaces it first); resolves once all new workers run, and throws if none come. */
  reload(conf?: string): Promise<void>;
}

/** Starts nginx as a child and waits for /healthz. `stop` is QUIT, then TERM, then KILL for master and workers. */
export async function launchGateway(options: GatewayLaunch): Promise<LocalGateway> {
  const file = join(options.dir, 'nginx.conf');
  const errorLog = join(options.dir, 'error.log');
  mkdirSync(join(options.dir, 'state'), { recursive: true });
  writeFileSync(file, options.conf);
  const nginx = await launch({
    name: `gateway ${options.id} on port ${String(options.port)}`,
    command: options.nginx ?? 'nginx',
    args: ['-p', options.dir, '-c', file],
    env: { ...process.env, ...options.env },
    logFile: join(options.dir, 'nginx.log'),
    stopSignal: 'SIGQUIT',
    ready: () => ask(options.adminPort, 'GET /healthz HTTP/1.0\r\n\r\n', ' 200 '),
  });
  const stop = stopper(nginx, options.graceMs ?? 5_000);
  await forked(nginx.pid, file, new Set()); // the first worker answers before the last one exists
  return {
    ...nginx,
    id: options.id,
    url: `http://127.0.0.1:${String(options.port)}`,
    adminUrl: `http://127.0.0.1:${String(options.adminPort)}`,
    errorLog,
    accessLog: join(options.dir, 'access.log'),
    workers: () => children(nginx.pid),
    reload: async (conf) => {
      if (conf !== undefined) writeFileSync(file, conf);
      const before = new Set(children(nginx.pid));
      nginx.kill('SIGHUP');
      if (!(await forked(nginx.pid, file, before)))
        throw new Error(`gateway ${options.id} took no new conf; see the end of ${errorLog}`);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** KILL for the master alone would leave its workers serving, so its whole process group is ended. */
function stopper(nginx: LocalProcess, graceMs: number): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= (async () => {
      for (const [signal, timeoutMs] of [
        ['SIGQUIT', graceMs],
        ['SIGTERM', 3_000],
      ] as const) {
        if (!running(nginx)) return;
        nginx.kill(signal);
        nginx.kill('SIGCONT'); // a frozen process cannot obey
        await within(nginx.exited, timeoutMs);
      }
      if (running(nginx)) process.kill(-nginx.pid, 'SIGKILL');
      await nginx.exited;
    })();
    return stopping;
  };
}

function running({ child }: LocalProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function within(event: Promise<unknown>, ms: number): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([event, pause(ms, undefined, { signal: waiting.signal }).catch(() => undefined)]);
  waiting.abort();
}

/** True once the master has as many workers beside `before` as its conf asks for; false if they do not come. */
async function forked(master: number, file: string, before: ReadonlySet<number>): Promise<boolean> {
  const wanted = Number(/^worker_processes (\d+);/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 1);
  const deadline = performance.now() + 15_000;
  while (children(master).filter((pid) => !before.has(pid)).length < wanted) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

function children(pid: number): readonly number[] {
  try {
    const listed = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8');
    return listed.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
