import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, circumstances, dryRun, durationOption, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

type BreakerFlags = MutationFlags & { readonly for?: string };

/** The words of the command line, as the API takes them. */
const STATES = new Map([
  ['open', 'open'],
  ['close', 'closed'],
  ['auto', 'auto'],
]);

/** `ebbgate breaker`: leaves a service alone, or does not, or lets the gateways decide. */
export function addBreaker(program: Command, terminal: Terminal): void {
  apiCommand(
    program,
    'breaker <SVC> <STATE>',
    'leave a service alone (open), never do (close), or let the gateways decide (auto)',
  )
    .option('--reason <TEXT>', 'why; needed by open and close, kept and shown')
    .addOption(durationOption('--for <DURATION>', 'how long it is so; then the gateways decide again'))
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (service: string, word: string, flags: BreakerFlags) => {
      const state = STATES.get(word);
      if (state === undefined)
        throw new CliFailure(EXIT.usage, `STATE is open, close or auto, not ${word}`, [
          'next: ebbgate breaker --help',
        ]);
      if (state !== 'auto' && flags.reason === undefined)
        throw new CliFailure(EXIT.usage, `${word} needs a reason: say why with --reason`);
      const client = createClient(flags, terminal);
      const expires = flags.for === undefined ? {} : { expires: flags.for };
      const target = path('services', service, 'breaker');
      const body = { state, ...circumstances(flags), ...expires };
      const outcome = await client.post<MutationResource>(target, body, dryRun(flags));
      await conclude(terminal, client, flags, outcome.body);
    });
}
