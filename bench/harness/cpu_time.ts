import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds on a core, user and system, that these processes have used so far (their main threads). */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [ran = ''] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return sum + Number(ran);
  }, 0);
}

/** Milliseconds on a core, user and system, that all threads of a process have used so far. */
export function processTime(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => Number(thread));
  return threads.reduce((sum, thread) => sum + cpuTime([thread]), 0) / 1e6;
}
