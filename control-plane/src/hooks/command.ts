import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandCall, HookFailure } from '../model/hooks.js';
import type { Clock, Timer } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';

/** How much of what a command said last is kept. */
const KEPT_CHARACTERS = 2_000;
/** Between asking a command to end and ending it. */
const GRACE_MS = 5_000;

/** Why `command` cannot be run from `directory`, or null. */
export function forbidsCommand(command: string, directory: string): string | null {
  if (directory === '')
    return 'no commands are offered: set EBBGATE_HOOK_COMMANDS of the controllers to their directory';
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(command))
    return 'must be the name of a file: letters, digits, ".", "_" and "-", at most 64';
  const file = join(directory, command);
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? null : `${command} is no file`;
  } catch {
    return `there is no executable file ${command} in the directory of commands of this controller`;
  }
}

/**
 * Runs a command in a process group of its own. It gets its input, `PATH`, `EBBGATE_KEY` and what the call shows it, and nothing else of
 * this process's environment. After the time-out, or when `signal` aborts, the whole group is ended.
 */
export function runCommand(
  call: CommandCall,
  around: {
    readonly directory: string;
    readonly path: string;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<Result<null, HookFailure>> {
  const { command, key, env, input, timeout_ms } = call;
  const { directory, path, clock, signal } = around;
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(unanswered(`${command} was not run: this controller is stopping`));
      return;
    }
    const started = start(join(directory, command), directory, { PATH: path, ...env, EBBGATE_KEY: key });
    if (!started.ok) {
      resolve(err({ kind: 'refused', reason: `${command} could not be run: ${started.error}` }));
      return;
    }
    const child = started.value;
    if (child.pid === undefined) {
      // Without a process there may be no streams either, as when no descriptor is free: its error is on its way.
      child.once('error', (error) => {
        resolve(unanswered(`${command} could not be run: ${error.message}`));
      });
      return;
    }
    child.stdin.on('error', () => {
      // It did not read, which is its own affair.
    });
    child.stdin.end(input);
    let said = '';
    const listen = (chunk: Buffer): void => {
      said = (said + chunk.toString('utf8')).slice(-KEPT_CHARACTERS);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    let ended: string | null = null;
    let grace: Timer | undefined;
    const end = (why: string): void => {
      if (ended !== null) return;
      ended = why;
      signalGroup(child.pid, 'SIGTERM');
      grace = clock.after(GRACE_MS, () => {
        signalGroup(child.pid, 'SIGKILL');
      });
    };
    const deadline = clock.after(timeout_ms, () => {
      end(`${command} took longer than ${timeout_ms} ms`);
    });
    const stop = (): void => {
      end(`${command} was ended: this controller is stopping`);
    };
    signal.addEventListener('abort', stop, { once: true });
    const settle = (result: Result<null, HookFailure>): void => {
      deadline.stop();
      grace?.stop();
      signal.removeEventListener('abort', stop);
      resolve(result);
    };
    child.on('error', (error) => {
      settle(unanswered(`${command} could not be run: ${error.message}`));
    });
    child.on('close', (code) => {
      if (ended !== null) settle(unanswered(ended));
      else if (code === 0) settle(ok(null));
      else
        settle(
          err({ kind: 'refused', reason: `${command} ended with ${code ?? 'a signal'}${lastLine(said)}` }),
        );
    });
  });
}

/** An environment that is too long for the system throws at once, unlike a file that cannot be run. */
function start(file: string, directory: string, env: Readonly<Record<string, string>>) {
  try {
    return ok(spawn(file, [], { cwd: directory, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true }));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

function signalGroup(pid: number | undefined, name: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It is gone already.
  }
}

function unanswered(reason: string): Result<never, HookFailure> {
  return err({ kind: 'unanswered', reason });
}

function lastLine(said: string): string {
  const line = said.trimEnd().split('\n').at(-1)?.trim() ?? '';
  return line === '' ? '' : `: ${line}`;
}
