import { Command, CommanderError } from 'commander';
import { addAcceptDataLoss } from './accept_data_loss.js';
import { addAudit } from './audit.js';
import { addBreaker } from './breaker.js';
import { addConsumer } from './consumer.js';
import { addCopies } from './copies.js';
import { addDescribe } from './describe.js';
import { CliFailure, EXIT } from './failure.js';
import { addFreeze } from './freeze.js';
import { addGateway } from './gateway.js';
import { addGet } from './get.js';
import { addHold } from './hold.js';
import { addRelease } from './release.js';
import { addRoute } from './route.js';
import { addSet } from './set.js';
import { addSteer } from './steer.js';
import type { Terminal } from './terminal.js';
import { addUndoLast } from './undo_last.js';
import { addToken } from './token.js';
import { addWaitCommand } from './wait.js';
import { addWeight } from './weight.js';

/** The bare program: usage errors are thrown, and options of a subcommand are its own (`drain --version v1`). */
export function createProgram(version: string, terminal: Terminal): Command {
  return new Command('ebbgate')
    .description('Dynamic upstreams for nginx, with drains that can be trusted')
    .version(version, '-V, --version')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what it takes)')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 error, 2 usage, 3 release rolled back or failed, 4 time-out or unproven, 5 refused by a guard, 6 conflict, 7 unavailable.',
    );
}

/** Every command that talks to the control API. */
export function addApiCommands(program: Command, terminal: Terminal): void {
  addGet(program, terminal);
  addDescribe(program, terminal);
  addSteer(program, terminal);
  addWeight(program, terminal);
  addRoute(program, terminal);
  addSet(program, terminal);
  addWaitCommand(program, terminal);
  addFreeze(program, terminal);
  addBreaker(program, terminal);
  addAudit(program, terminal);
  addUndoLast(program, terminal);
  addGateway(program, terminal);
  addHold(program, terminal);
  addToken(program, terminal);
  addConsumer(program, terminal);
  addAcceptDataLoss(program, terminal);
  addCopies(program, terminal);
  addRelease(program, terminal);
}

/** Runs `argv` (without node and script); says on stderr why it failed, and returns the exit code. */
export async function run(program: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const failure =
      error instanceof CliFailure
        ? error
        : new CliFailure(EXIT.error, error instanceof Error ? error.message : String(error));
    terminal.err(`ebbgate: ${failure.message}\n${failure.lines.map((line) => `  ${line}\n`).join('')}`);
    return failure.exit;
  }
}
