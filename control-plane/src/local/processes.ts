import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * A process so named that another one with the same pid, started later, is not taken for it. Each of ours leads a
 * process group of its own.
 */
export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  /** Start time in clock ticks since the machine's boot, as /proc shows it. */
  readonly start: string;
}

/** The environment variable that marks everything a local Ebbgate starts, children's children too. */
export const MARK = 'EBBGATE_UP_DIR';

/** The record of a living process; undefined if there is none with that pid. */
export function recordOf(name: string, pid: number): ProcessRecord | undefined {
  const start = statOf(pid)?.start;
  return start === undefined ? undefined : { name, pid, start };
}

/** True while that very process runs; a zombie does not. */
export function lives(record: ProcessRecord): boolean {
  const now = statOf(record.pid);
  return now?.start === record.start && now.state !== 'Z';
}

/** Sends a signal to a process, or with a negative pid to a group; 0 only asks. False = there is none. */
export function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Kills what is left of the group that `record` leads or led; a stranger who got the pid is left alone. */
export function killGroup(record: ProcessRecord): void {
  const now = statOf(record.pid);
  if (now === undefined || now.start === record.start) send(-record.pid, 'SIGKILL');
}

/** The pids of all living processes that carry the mark of `dir`. */
export function marked(dir: string): readonly number[] {
  const wanted = `${MARK}=${dir}`;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids
    .filter((pid) => read(`/proc/${pid}/environ`)?.split('\0').includes(wanted))
    .map(Number)
    .filter((pid) => statOf(pid)?.state !== 'Z');
}

/** Polls until `done`, at most `ms`; returns whether it was. */
export async function within(ms: number, done: () => boolean): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!done()) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

/**
 * Ends everything that an `up` in `dir` started and left: SIGTERM first, SIGKILL after `graceMs`. `except` and the
 * present process are spared.
 */
export async function sweep(
  dir: string,
  records: readonly ProcessRecord[],
  spared: readonly number[],
  graceMs = 2_000,
): Promise<void> {
  const left = (): readonly number[] => [
    ...records.filter(lives).map(({ pid }) => pid),
    ...marked(dir).filter((pid) => !spared.includes(pid)),
  ];
  for (const pid of left()) {
    send(pid, 'SIGTERM');
    send(pid, 'SIGCONT'); // a frozen process cannot obey
  }
  await within(graceMs, () => left().length === 0);
  for (const pid of left()) send(pid, 'SIGKILL');
  records.forEach(killGroup);
  await within(2_000, () => left().length === 0);
}

function statOf(pid: number): { readonly state: string; readonly start: string } | undefined {
  // The second field is the command in brackets and may contain anything, so fields are counted after its end.
  const stat = read(`/proc/${String(pid)}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields?.[0], fields?.[19]];
  return state === undefined || start === undefined ? undefined : { state, start };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
