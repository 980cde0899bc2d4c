import { readFileSync } from 'node:fs';

/** Pids of the direct children of a process, lowest first; none if it has ended. */
export function childrenOf(pid: number): readonly number[] {
  const text = readProc(`${String(pid)}/task/${String(pid)}/children`) ?? '';
  return text
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .sort((a, b) => a - b);
}

/** True if SIGSTOP has reached it, or it has ended. */
export function isStopped(pid: number): boolean {
  return /\) [Tt] /.test(readProc(`${String(pid)}/stat`) ?? ') T ');
}

/** True until it has ended; a zombie has. */
export function exists(pid: number): boolean {
  const stat = readProc(`${String(pid)}/stat`);
  return stat !== undefined && !/\) Z /.test(stat);
}

function readProc(file: string): string | undefined {
  try {
    return readFileSync(`/proc/${file}`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
