import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { systemClock } from '../clock.js';
import type { Command } from 'commander';
import { productVersion } from './product.js';
import { addApiCommands, createProgram, run } from './program.js';
import type { Terminal } from './terminal.js';

/** The `ebbgate` command: every subcommand, wired to the real process. */
async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0); // `ebbgate get … | head`
    throw error;
  });
  const terminal = processTerminal();
  const program = createProgram(productVersion(), terminal);
  const args = process.argv.slice(2);
  await addCommands(program, args[0] ?? '', terminal);
  const code = await run(program, args, terminal);
  // Commands that are no clients of the API set their own code.
  if (code !== 0) process.exitCode = code;
}

type Add = (program: Command, terminal: Terminal) => void;

/** The commands that are no clients of the API, and what loads the file that adds them. */
const OTHERS: readonly { readonly names: readonly string[]; readonly load: () => Promise<Add> }[] = [
  { names: ['render'], load: async () => (await import('./render.js')).addRender },
  { names: ['register'], load: async () => (await import('./register.js')).addRegister },
  { names: ['up', 'status', 'down', 'demo'], load: async () => (await import('./local.js')).addLocal },
  { names: ['controller'], load: async () => (await import('./controller.js')).addController },
];

/**
 * Adds the commands. If `first` names one, only those of its file: the modules behind the options of all the others take longer
 * to load than most commands take to run.
 */
async function addCommands(program: Command, first: string, terminal: Terminal): Promise<void> {
  const other = OTHERS.find(({ names }) => names.includes(first));
  if (other) {
    (await other.load())(program, terminal);
    return;
  }
  addApiCommands(program, terminal);
  if (program.commands.some((one) => one.name() === first)) return;
  for (const { load } of OTHERS) (await load())(program, terminal);
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
