import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

interface AcceptFlags extends MutationFlags {
  readonly keepIntents?: boolean;
  readonly yes?: boolean;
}

const PATH = '/v1/protection/accept_data_loss';

/** `ebbgate accept-data-loss`: without `--yes` it only shows what would go. */
export function addAcceptDataLoss(program: Command, terminal: Terminal): void {
  apiCommand(
    program,
    'accept-data-loss',
    'say that what ZooKeeper contains after a data loss is right: it is published, and what else was known is lost',
  )
    .requiredOption('--reason <TEXT>', 'how you know; kept and shown')
    .option(
      '--keep-intents',
      'write back routes, drains, isolations, weights and shares, as far as they are known',
    )
    .option('--dry-run', 'show what would change, write nothing')
    .option('--yes', 'do it; without this it is a dry run')
    .action(async (flags: AcceptFlags) => {
      const client = createClient(flags, terminal);
      const sure = flags.yes === true && flags.dryRun !== true;
      const body = { reason: flags.reason, ...(flags.keepIntents === true ? { keep_intents: true } : {}) };
      const outcome = await client.post<MutationResource>(PATH, body, sure ? {} : { dry_run: 'true' });
      await conclude(terminal, client, flags, outcome.body);
      if (sure || flags.dryRun === true) return;
      const losesRoutes = outcome.body.changes.some(({ field }) => field === 'routes');
      throw new CliFailure(EXIT.usage, 'nothing was done: this needs --yes', [
        ...(losesRoutes
          ? ['routes would be lost, and their requests answered 404; --keep-intents keeps them']
          : []),
        `next: ebbgate accept-data-loss${flags.keepIntents === true ? ' --keep-intents' : ''} --reason "…" --yes`,
      ]);
    });
}
