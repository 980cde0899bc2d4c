import { InvalidArgumentError, Option, type Command } from 'commander';
import { DURATION_HINT, parseDuration } from '../model/duration.js';
import { DEFAULT_API } from '../model/api_addresses.js';
import { addApiFiles } from './api_files.js';
import type { ApiFlags, Query } from './client.js';
import { addOutput, type Format } from './output.js';

/** What every command that talks to the API takes. */
export interface CommonFlags extends ApiFlags {
  readonly output: Format;
}

/** A subcommand that talks to the API: `--api`, `--token-file`, the files of TLS, `-o`. */
export function apiCommand(parent: Command, nameAndArgs: string, description: string): Command {
  const command = parent
    .command(nameAndArgs)
    .description(description)
    .option(
      '--api <URL,...>',
      `the control API, of several controllers with commas (EBBGATE_API; default ${DEFAULT_API})`,
    )
    .option('--token-file <FILE>', 'a file with the token (or EBBGATE_TOKEN, EBBGATE_TOKEN_FILE)');
  return addOutput(addApiFiles(command));
}

/** What every mutation takes. */
export interface MutationFlags extends CommonFlags {
  readonly reason?: string;
  readonly expires?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
}

/** Adds `--reason`, `--force`, `--dry-run`, and where an intent is set `--expires`. */
export function addCircumstances(command: Command, { lasting }: { readonly lasting: boolean }): Command {
  command
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--force', 'guards only warn; needs --reason')
    .option('--dry-run', 'show what would change, write nothing');
  if (lasting) command.addOption(durationOption('--expires <DURATION>', 'how long the intent lasts'));
  return command;
}

/** Adds `--wait` and its `--timeout`. */
export function addWait(command: Command, what: string, timeout: string): Command {
  return command.option('--wait', what).addOption(durationOption('--timeout <DURATION>', timeout));
}

/** An option that takes a duration as the API takes it; the text is passed on as it is. */
export function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    if (!parseDuration(text).ok) throw new InvalidArgumentError(`It must be ${DURATION_HINT}.`);
    return text;
  });
}

/** Milliseconds of a duration that an option let through. */
export function milliseconds(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new Error(`a duration ${parsed.error}`);
  return parsed.value;
}

/** `?dry_run=true` when asked for. */
export function dryRun(flags: MutationFlags): Query {
  return flags.dryRun === true ? { dry_run: 'true' } : {};
}

/** The circumstances as members of a body. */
export function circumstances(flags: MutationFlags): object {
  return {
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    ...(flags.force === true ? { force: true } : {}),
    ...(flags.expires === undefined ? {} : { expires: flags.expires }),
  };
}
