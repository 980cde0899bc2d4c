import { readFileSync } from 'node:fs';

/**
 * Bytes of its own that this process has: heaps and stacks, without the shared dictionaries (a page of theirs that
 * only one worker has touched would else count as its own). Pages it still shares with its master count in part.
 */
export function ownMemory(pid: number): number {
  const text = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
  const found = /^Pss_Anon: +(\d+) kB$/m.exec(text);
  if (found === null) throw new Error(`/proc/${String(pid)}/smaps_rollup does not report Pss_Anon`);
  return Number(found[1]) * 1_024;
}
