import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** A server started as a child. `stop` is graceful first, forceful after `graceMs`, and may be called twice. */
export interface LocalProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Resolves with the exit code (null if a signal ended it). */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface LaunchOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** stdout and stderr go here; its end is part of the error when the start fails. */
  readonly logFile: string;
  /** Resolves to true once the server answers. Asked every 20 ms. */
  readonly ready: () => Promise<boolean>;
  /** Default 15 s. */
  readonly readyTimeoutMs?: number;
  /** Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Default 5 s. */
  readonly graceMs?: number;
  /** A process group of its own, so that a Ctrl-C on the terminal reaches only the parent. Default true. */
  readonly detached?: boolean;
}

/** Starts a server and waits until it answers; a start that fails throws with the end of its log. */
export async function launch(options: LaunchOptions): Promise<LocalProcess> {
  if (await options.ready().catch(() => false))
    throw new Error(`${options.name}: another process answers there already; stop it or choose another port`);
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env, // absent = this process's own
    stdio: ['ignore', log, log],
    detached: options.detached ?? true,
  });
  closeSync(log);
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      resolve(code);
    });
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => {
      reject(new Error(`${options.name}: ${error.message}`));
    });
  });
  failed.catch(() => undefined); // observed through the race below only while starting
  const stop = stopper(child, exited, options);
  const deadline = performance.now() + (options.readyTimeoutMs ?? 15_000);
  for (;;) {
    const answered = await Promise.race([options.ready().catch(() => false), failed]);
    if (answered) break;
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(
        `${options.name} ended while starting (${describeExit(child)})${tail(options.logFile)}`,
      );
    if (performance.now() > deadline) {
      await stop();
      throw new Error(`${options.name} did not answer in time${tail(options.logFile)}`);
    }
    await pause(20);
  }
  return {
    name: options.name,
    pid: child.pid as number,
    child,
    logFile: options.logFile,
    exited,
    kill: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function stopper(child: ChildProcess, exited: Promise<unknown>, options: LaunchOptions): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= (async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.kill(options.stopSignal ?? 'SIGTERM');
      child.kill('SIGCONT'); // a frozen process cannot obey
      const grace = new AbortController();
      const forced = pause(options.graceMs ?? 5_000, undefined, { signal: grace.signal })
        .then(() => void child.kill('SIGKILL'))
        .catch(() => undefined);
      await exited;
      grace.abort();
      await forced;
    })();
    return stopping;
  };
}

function describeExit(child: ChildProcess): string {
  return child.signalCode ? `signal ${child.signalCode}` : `exit code ${String(child.exitCode)}`;
}

function tail(file: string): string {
  try {
    const text = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
    return text ? `; the end of ${file}:\n${text}` : `; ${file} is empty`;
  } catch {
    return '';
  }
}
