import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** How to run `ebbgate`: the program and its first argument. */
export const EBBGATE = [process.execPath, join(import.meta.dirname, '../../scripts/ebbgate.mjs')] as const;

/** What a command did. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line to its end. */
export function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return startCli(args, env).ended;
}

/** Runs a program to its end, in this environment and that of the process. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Run> {
  return start(program, args, env).ended;
}

/** Starts the command line; `stdout` is what it has printed so far. */
export function startCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { readonly stdout: () => string; readonly ended: Promise<Run> } {
  const [program, ...first] = EBBGATE;
  return start(program, [...first, ...args], env);
}

function start(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { readonly stdout: () => string; readonly ended: Promise<Run> } {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = (once(child, 'close') as Promise<[number | null]>).then(([code]) => ({
    code,
    stdout,
    stderr,
  }));
  return { stdout: () => stdout, ended };
}
