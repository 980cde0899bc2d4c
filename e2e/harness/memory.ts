import { readFileSync } from 'node:fs';

/** Bytes that belong to this process alone: neither the shared dictionaries nor what it shares with its master. */
export function privateMemory(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce(
    (sum, [, kb]) => sum + Number(kb) * 1_024,
    0,
  );
}
