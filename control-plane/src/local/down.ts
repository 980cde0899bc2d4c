import { realpathSync } from 'node:fs';
import { lives, send, sweep, within } from './processes.js';
import { clearState, readState } from './state.js';

/** `stopped`: it ran. `cleaned`: only remains of a killed one were there. `nothing`: nothing runs in that directory. */
export type DownResult = 'stopped' | 'cleaned' | 'nothing';

/** An `up` stops within 10 s; after this it is no longer waited for. */
const STOP_TIMEOUT_MS = 20_000;

/** Stops the Ebbgate of `dir`, or what is left of it. A reused pid is never touched. */
export async function down(dir: string, pid: number): Promise<DownResult> {
  const state = readState(dir);
  if (state === undefined) return 'nothing';
  const { supervisor, processes } = state;
  const ran = lives(supervisor);
  if (ran) {
    send(supervisor.pid, 'SIGTERM');
    send(supervisor.pid, 'SIGCONT');
    if (await within(STOP_TIMEOUT_MS, () => !lives(supervisor))) return 'stopped';
  }
  await sweep(realpathSync(dir), [supervisor, ...processes], [pid]);
  clearState(dir);
  return ran ? 'stopped' : 'cleaned';
}
