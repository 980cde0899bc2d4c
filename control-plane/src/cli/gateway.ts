import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

/** `ebbgate gateway forget|leave|join` and `ebbgate cancel`. */
export function addGateway(program: Command, terminal: Terminal): void {
  const gateway = program
    .command('gateway')
    .description('the roster: the gateways that every drain waits for');
  apiCommand(
    gateway,
    'forget [GATEWAY...]',
    'vouch that silent gateways serve no more: nothing waits for them from now on',
  )
    .option('--never-heard', 'every name that Redis lists and that was never heard; such names block nothing')
    .requiredOption('--reason <TEXT>', 'how you know; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (ids: readonly string[], flags: MutationFlags & { readonly neverHeard?: true }) => {
      const [first] = ids;
      if (first === undefined && flags.neverHeard === undefined)
        throw new CliFailure(EXIT.usage, 'name a gateway, or several, or say --never-heard');
      if (ids.length === 1 && first !== undefined && flags.neverHeard === undefined)
        await send(terminal, flags, path('gateways', first, 'forget'), `gateway ${first} is forgotten`);
      else
        await send(terminal, flags, path('gateways', 'forgets'), 'forgotten', {
          ...(ids.length === 0 ? {} : { gateways: ids }),
          ...(flags.neverHeard === undefined ? {} : { never_heard: true }),
        });
    });
  apiCommand(gateway, 'leave <GATEWAY>', 'say that a gateway was stopped and its last worker is gone')
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (id: string, flags: MutationFlags) => {
      await send(terminal, flags, path('gateways', id, 'leave'), `gateway ${id} has left`);
    });
  apiCommand(gateway, 'join <GATEWAY>', 'say that a gateway serves, heard or not: every drain waits for it')
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (id: string, flags: MutationFlags) => {
      await send(terminal, flags, path('gateways', id, 'join'), `gateway ${id} is in the roster`);
    });
  apiCommand(program, 'cancel <OPERATION>', 'cancel an operation')
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (id: string, flags: MutationFlags) => {
      await send(terminal, flags, path('operations', id, 'cancel'), `operation ${id} is cancelled`);
    });
}

async function send(
  terminal: Terminal,
  flags: MutationFlags,
  target: string,
  done: string,
  more: object = {},
): Promise<void> {
  const client = createClient(flags, terminal);
  const body = { ...more, ...(flags.reason === undefined ? {} : { reason: flags.reason }) };
  const { body: outcome } = await client.post<MutationResource>(target, body, dryRun(flags));
  const said = outcome.changes.length === 0 && !outcome.dry_run;
  if (said && flags.output !== 'json' && flags.output !== 'yaml') terminal.out(`${done}\n`);
  else await conclude(terminal, client, flags, outcome);
}
