import { readFileSync } from 'node:fs';

/** Nanoseconds on a core, user and system, that these processes have used so far (their main threads). */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [ran = ''] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return sum + Number(ran);
  }, 0);
}

/** Bytes that belong to this process alone: neither the shared dictionaries nor what it shares with its master. */
export function privateMemory(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce(
    (sum, [, kb]) => sum + Number(kb) * 1_024,
    0,
  );
}
