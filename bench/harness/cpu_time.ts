import { readFileSync } from 'node:fs';

/** Nanoseconds on a core, user and system, that these processes have used so far (their main threads). */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [ran = ''] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return sum + Number(ran);
  }, 0);
}
