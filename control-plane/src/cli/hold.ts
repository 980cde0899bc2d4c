import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path } from './client.js';
import { apiCommand, circumstances, dryRun, durationOption, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

type HoldFlags = MutationFlags & { readonly for?: string };

/** `ebbgate hold` and `ebbgate accept`: a person's word about instances whose registrations vanished. */
export function addHold(program: Command, terminal: Terminal): void {
  verb(program, terminal, 'hold', 'instances that vanished, or will vanish, live: remove none of them')
    .requiredOption('--reason <TEXT>', 'how you know; kept and shown')
    .addOption(durationOption('--for <DURATION>', 'how long').makeOptionMandatory());
  verb(
    program,
    terminal,
    'accept',
    'instances that vanished and are kept are gone, even if none is left; ends a hold',
  ).requiredOption('--reason <TEXT>', 'how you know; kept and shown');
}

function verb(program: Command, terminal: Terminal, name: string, description: string): Command {
  return apiCommand(program, `${name} <SVC>`, description)
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (service: string, flags: HoldFlags) => {
      const client = createClient(flags, terminal);
      const body = { ...circumstances(flags), ...(flags.for === undefined ? {} : { expires: flags.for }) };
      const target = path('services', service, name);
      const outcome = await client.post<MutationResource>(target, body, dryRun(flags));
      await conclude(terminal, client, flags, outcome.body);
    });
}
