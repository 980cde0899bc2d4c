import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** Sends `signal` to a process, or to a group if `pid` is negative; 0 only asks. False = there is none. */
export type SendSignal = (pid: number, signal: NodeJS.Signals | 0) => boolean;

/** The registrar's child: a process group of its own, so that a Ctrl-C on the terminal does not reach it. */
export interface Child {
  readonly pid: number | undefined;
  /** Resolves with the exit code; 128 + n after signal n; 126 or 127 if it could not be started. */
  readonly exited: Promise<number>;
  /**
   * Ends the whole group: SIGTERM, then SIGKILL after `graceMs` or once `hasten` aborts. Resolves with the exit
   * code when no process of the group is left. After the child has ended by itself it clears what it left behind.
   */
  stop(graceMs: number, hasten: AbortSignal): Promise<number>;
}

/** Starts `command` with this process's own stdin, stdout and stderr. */
export function startChild(
  command: string,
  args: readonly string[],
  send: SendSignal,
  onError: (message: string) => void,
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
        await untilGone(() => !send(group, 0), graceMs, hasten);
        send(group, 'SIGKILL');
      }
      return exited;
    },
  };
}

/** Polls because the members of a group are not all our children: no event tells of their end. */
async function untilGone(gone: () => boolean, graceMs: number, hasten: AbortSignal): Promise<void> {
  const deadline = performance.now() + graceMs;
  while (!gone() && performance.now() < deadline && !hasten.aborted)
    await pause(20, undefined, { signal: hasten }).catch(() => undefined);
}
