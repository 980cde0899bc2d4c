import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Clock } from '../model/ports.js';

/** Sends `signal` to a process, or to a group if `pid` is negative; 0 only asks. False = there is none. */
export type SendSignal = (pid: number, signal: NodeJS.Signals | 0) => boolean;

/** The registrar's child: a process group of its own, so that a Ctrl-C on the terminal does not reach it. */
export interface Child {
  readonly pid: number | undefined;
  /** Resolves with the exit code; 128 + n after signal n; 126 or 127 if it could not be started. */
  readonly exited: Promise<number>;
  /**
   * Ends the whole group: SIGTERM, then SIGKILL after `graceMs` or once `hasten` aborts. Resolves with the exit
   * code once the child has ended and the rest of its group was killed. After the child has ended by itself it
   * clears what it left behind.
   */
  stop(graceMs: number, hasten: AbortSignal): Promise<number>;
}

/**
 * What the rest of a group gets once its leader is gone. Short, because a member that ended counts as there for as
 * long as nobody reaps it, and some containers have no such init process.
 */
const LEFTOVER_GRACE_MS = 500;

/** Starts `command` with this process's own stdin, stdout and stderr. */
export function startChild(
  command: string,
  args: readonly string[],
  send: SendSignal,
  onError: (message: string) => void,
  clock: Clock,
): Child {
  const child = spawn(command, args, { stdio: 'inherit', detached: true });
  const exited = new Promise<number>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      onError(`${command} could not be started: ${error.message}`);
      resolve(error.code === 'ENOENT' ? 127 : 126);
    });
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
  const group = child.pid === undefined ? undefined : -child.pid;
  return {
    pid: child.pid,
    exited,
    async stop(graceMs, hasten) {
      if (group !== undefined && send(group, 'SIGTERM')) {
        send(group, 'SIGCONT'); // a frozen process cannot obey
        const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
        await until(ended, graceMs, hasten, clock);
        await until(() => !send(group, 0), Math.min(graceMs, LEFTOVER_GRACE_MS), hasten, clock);
        send(group, 'SIGKILL');
      }
      return exited;
    },
  };
}

/** Polls because the members of a group are not all our children: no event reports their end. */
async function until(done: () => boolean, graceMs: number, hasten: AbortSignal, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + graceMs;
  while (!done() && clock.monotonic() < deadline && !hasten.aborted) await clock.sleep(20, hasten);
}
