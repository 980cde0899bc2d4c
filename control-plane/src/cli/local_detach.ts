import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { readState } from '../local/state.js';
import { commandFor } from './local_text.js';

/**
 * Starts `ebbgate up` in the background and shows what it says until everything is up. Resolves with the exit code:
 * 0 once it is up, its own if it fails. A signal in between stops it.
 */
export async function detach(
  dir: string,
  ebbgate: readonly [string, ...string[]],
  flags: readonly string[],
): Promise<number> {
  mkdirSync(dir, { recursive: true });
  const logFile = join(dir, 'up.log');
  const log = openSync(logFile, 'w');
  const [program, ...first] = ebbgate;
  const child = spawn(program, [...first, 'up', ...flags], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  let ended: number | undefined;
  child.once('error', () => (ended = 1)).once('exit', (code) => (ended = code ?? 1));
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const reader = openSync(logFile, 'r');
  const isUp = (): boolean => {
    const state = readState(dir);
    return state?.supervisor.pid === child.pid && state?.ready === true;
  };
  let settled = false;
  while (!settled) {
    settled = ended !== undefined || isUp();
    if (!settled) await systemClock.sleep(50);
    show(reader);
  }
  closeSync(reader);
  process.off('SIGINT', pass).off('SIGTERM', pass);
  child.unref();
  if (ended === undefined)
    process.stdout.write(`It runs in the background: \`${commandFor('down', dir)}\` stops it.\n`);
  return ended ?? 0;
}

/** Copies what has been written since the last call. */
function show(file: number): void {
  const buffer = Buffer.alloc(65_536);
  for (let length = 1; length > 0;) {
    length = readSync(file, buffer);
    process.stdout.write(buffer.subarray(0, length));
  }
}
