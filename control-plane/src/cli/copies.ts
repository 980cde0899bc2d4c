import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Option, type Command } from 'commander';
import { readCopiedAudit } from '../disk/copied_audit_files.js';
import type { MutationResource } from '../model/mutation.js';
import { withAudit } from '../plan/copy_document.js';
import { createClient } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, type CommonFlags, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

/** Reading 10,000 records of the audit, and writing them, takes some seconds longer than other answers. */
const LONG_MS = 50_000;

/** The flags of what brings a copy back. */
export interface RestoreFlags extends MutationFlags {
  readonly from?: 'redis' | 'file';
  readonly previous?: boolean;
  readonly file?: string;
  readonly yes?: boolean;
}

interface ImportFlags extends RestoreFlags {
  readonly prune?: boolean;
}

interface ExportFlags extends CommonFlags {
  readonly to?: string;
  readonly withTokens?: boolean;
}

/** `ebbgate export` and `import`, which only shows what would change without `--yes`. */
export function addCopies(program: Command, terminal: Terminal): void {
  apiCommand(program, 'export', 'print everything that was decided, as one document')
    .option('--to <FILE>', 'write it there, readable by you alone; it must not exist')
    .option('--with-tokens', 'with the salted hashes of the tokens: who imports it brings the tokens back')
    .action(async (flags: ExportFlags) => {
      const path = flags.withTokens === true ? '/v1/export?tokens=true' : '/v1/export';
      const { body } = await createClient(flags, terminal).get<object>(path, { ms: LONG_MS });
      const text = `${JSON.stringify(body)}\n`;
      if (flags.to === undefined) terminal.out(text);
      else writeTo(flags.to, text);
    });
  circumstances(
    apiCommand(
      program,
      'import <FILE>',
      'bring back what was exported; what else is there stays, without --prune',
    ),
  )
    .option(
      '--prune',
      'remove what is not in it: of services, the freeze of everything, and tokens if it has any',
    )
    .action(async (file: string, flags: ImportFlags) => {
      const prune = flags.prune === true;
      const what = { document: await documentIn(file), ...(prune ? { prune } : {}) };
      return bringBack(terminal, flags, what, `import ${file}${prune ? ' --prune' : ''}`);
    });
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
export async function restoreFrom(terminal: Terminal, flags: RestoreFlags): Promise<void> {
  const { from = '', file, previous } = flags;
  if (flags.reason === undefined)
    throw new CliFailure(EXIT.usage, '--from needs --reason: why what is in the copy is right');
  if (file !== undefined && from !== 'file')
    throw new CliFailure(EXIT.usage, '--file goes with --from file only');
  const place = { from, ...(previous === true ? { which: 'previous' } : {}) };
  const what = file === undefined ? place : { document: await documentIn(file) };
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
  const seen = await client.post<MutationResource>(path, body, { dry_run: 'true' }, LONG_MS);
  const sure = flags.yes === true && flags.dryRun !== true;
  if (!sure) {
    await conclude(terminal, client, flags, seen.body);
    if (flags.dryRun === true) return;
    throw new CliFailure(EXIT.usage, 'nothing was done: this needs --yes', [
      `next: ebbgate ${again} --reason "…" --yes`,
    ]);
  }
  const done = await client.post<MutationResource>(path, { ...body, diff: seen.body.diff }, {}, LONG_MS);
  await conclude(terminal, client, flags, done.body);
}

/** A copy of a controller has its audit in files beside it. */
async function documentIn(file: string): Promise<unknown> {
  try {
    const document = JSON.parse(readFileSync(file, 'utf8')) as unknown;
    const isCopy = ['copy.json', 'copy.previous.json'].includes(basename(file));
    if (!isCopy || typeof document !== 'object' || document === null || 'audit' in document) return document;
    return withAudit(document, await readCopiedAudit(dirname(file)));
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
