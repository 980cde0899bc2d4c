import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { systemClock } from '../clock.js';
import { addController } from './controller.js';
import { addLocal } from './local.js';
import { productVersion } from './product.js';
import { addApiCommands, createProgram, run } from './program.js';
import { addRegister } from './register.js';
import { addRender } from './render.js';
import type { Terminal } from './terminal.js';

/** The `ebbgate` command: every subcommand, wired to the real process. */
async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0); // `ebbgate get … | head`
    throw error;
  });
  const terminal = processTerminal();
  const program = createProgram(productVersion(), terminal);
  addApiCommands(program, terminal);
  addRender(program);
  addRegister(program);
  addLocal(program, terminal);
  addController(program);
  const code = await run(program, process.argv.slice(2), terminal);
  // Commands that are no clients of the API set their own code.
  if (code !== 0) process.exitCode = code;
}

function processTerminal(): Terminal {
  let interrupt: AbortController | undefined;
  return {
    env: process.env,
    user: userName(),
    tty: process.stdout.isTTY && process.env['TERM'] !== 'dumb',
    columns: () => process.stdout.columns || 80,
    rows: () => process.stdout.rows || 24,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    monotonic: systemClock.monotonic,
    pause: systemClock.sleep,
    uuid: () => randomUUID(),
    interrupted: () => {
      if (interrupt) return interrupt.signal;
      const made = (interrupt = new AbortController());
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => {
          made.abort();
        });
      return made.signal;
    },
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return ''; // a user id without a name, as in some containers
  }
}

await main();
