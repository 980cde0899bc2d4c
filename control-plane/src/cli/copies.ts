import { readFileSync, writeFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, type CommonFlags, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

/** The flags of what brings a copy back. */
export interface RestoreFlags extends MutationFlags {
  readonly from?: 'redis' | 'file';
  readonly previous?: boolean;
  readonly file?: string;
  readonly yes?: boolean;
}

interface ExportFlags extends CommonFlags {
  readonly to?: string;
}

/** `ebbgate export` and `import`, which only shows what would change without `--yes`. */
export function addCopies(program: Command, terminal: Terminal): void {
  apiCommand(program, 'export', 'print everything that was decided, as one document')
    .option('--to <FILE>', 'write it there, readable by you alone; it must not exist')
    .action(async (flags: ExportFlags) => {
      const { body } = await createClient(flags, terminal).get<object>('/v1/export');
      const text = `${JSON.stringify(body)}\n`;
      if (flags.to === undefined) terminal.out(text);
      else writeTo(flags.to, text);
    });
  circumstances(
    apiCommand(program, 'import <FILE>', 'bring back what was exported; what else is there stays'),
  ).action((file: string, flags: RestoreFlags) =>
    bringBack(terminal, flags, { document: documentIn(file) }, `import ${file}`),
  );
}

/** Makes `ebbgate restore` bring a copy back where `--from` is given. */
export function addRestoreFrom(command: Command): void {
  command
    .addOption(
      new Option(
        '--from <PLACE>',
        'instead: bring back the copy that the leader has kept of everything; ends a data loss of ZooKeeper',
      ).choices(['redis', 'file']),
    )
    .option('--previous', 'the copy before the last loss was settled, or before a copy was brought back')
    .option('--file <PATH>', 'with --from file: this one here instead of the one on the disk of the leader')
    .option('--yes', 'with --from: do it; without this it is a dry run');
}

/** `ebbgate restore --from`. */
export function restoreFrom(terminal: Terminal, flags: RestoreFlags): Promise<void> {
  const { from = '', file, previous } = flags;
  if (flags.reason === undefined)
    throw new CliFailure(EXIT.usage, '--from needs --reason: why what is in the copy is right');
  if (file !== undefined && from !== 'file')
    throw new CliFailure(EXIT.usage, '--file goes with --from file only');
  const place = { from, ...(previous === true ? { which: 'previous' } : {}) };
  const what = file === undefined ? place : { document: documentIn(file) };
  const more = [
    ...(file === undefined ? [] : ['--file', file]),
    ...(previous === true ? ['--previous'] : []),
  ];
  return bringBack(terminal, flags, what, ['restore --from', from, ...more].join(' '));
}

function circumstances(command: Command): Command {
  return command
    .requiredOption('--reason <TEXT>', 'why what is in it is right; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .option('--yes', 'do it; without this it is a dry run');
}

/** Looks, and with `--yes` applies what it has just looked at, and nothing else. */
async function bringBack(
  terminal: Terminal,
  flags: RestoreFlags,
  what: object,
  again: string,
): Promise<void> {
  const client = createClient(flags, terminal);
  const path = 'document' in what ? '/v1/import' : '/v1/restore';
  const body = { ...what, reason: flags.reason };
  const seen = await client.post<MutationResource>(path, body, { dry_run: 'true' });
  const sure = flags.yes === true && flags.dryRun !== true;
  if (!sure) {
    await conclude(terminal, client, flags, seen.body);
    if (flags.dryRun === true) return;
    throw new CliFailure(EXIT.usage, 'nothing was done: this needs --yes', [
      `next: ebbgate ${again} --reason "…" --yes`,
    ]);
  }
  const done = await client.post<MutationResource>(path, { ...body, diff: seen.body.diff });
  await conclude(terminal, client, flags, done.body);
}

function documentIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    throw new CliFailure(EXIT.usage, `${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function writeTo(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new CliFailure(EXIT.error, error instanceof Error ? error.message : String(error));
  }
}
