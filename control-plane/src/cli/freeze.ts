import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, circumstances, dryRun, durationOption, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

type FreezeFlags = MutationFlags & { readonly all?: boolean };

/** `ebbgate freeze` and `ebbgate unfreeze`: whether releases may start and steps may begin. */
export function addFreeze(program: Command, terminal: Terminal): void {
  verb(program, terminal, 'freeze', 'let no release start and no step begin; going back goes on')
    .requiredOption('--reason <TEXT>', 'why; kept, and shown to everybody whom it stops')
    .addOption(durationOption('--expires <DURATION>', 'how long it lasts'));
  verb(program, terminal, 'unfreeze', 'let releases go on').option('--reason <TEXT>', 'why; kept and shown');
}

function verb(program: Command, terminal: Terminal, name: string, description: string): Command {
  return apiCommand(program, `${name} [SVC]`, description)
    .option('--all', 'all services, by a freeze of its own')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (service: string | undefined, flags: FreezeFlags) => {
      if ((service === undefined) !== (flags.all === true))
        throw new CliFailure(EXIT.usage, 'name either a service or --all', [`next: ebbgate ${name} --help`]);
      const client = createClient(flags, terminal);
      const target = service === undefined ? path(name) : path('services', service, name);
      const { body } = await client.post<MutationResource>(target, circumstances(flags), dryRun(flags));
      await conclude(terminal, client, flags, body);
    });
}
