import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path } from './client.js';
import { addCircumstances, addWait, apiCommand, circumstances, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

/** `ebbgate undo-last`: gives what a change touched back what it had before. */
export function addUndoLast(program: Command, terminal: Terminal): void {
  const command = apiCommand(
    program,
    'undo-last [RECORD]',
    'take your newest change back that is not taken back yet, or one by its number',
  );
  addWait(
    addCircumstances(command, { lasting: false }),
    'wait until every gateway follows it',
    'how long --wait waits',
  )
    .addHelpText(
      'after',
      '\nNothing is undone if anything of it was changed since; the refusal names it. --dry-run shows what would change.',
    )
    .action(async (record: string | undefined, flags: MutationFlags) => {
      const client = createClient(flags, terminal);
      const target = path('audit', record ?? 'last', 'undo');
      const { body } = await client.post<MutationResource>(target, circumstances(flags), dryRun(flags));
      await conclude(terminal, client, flags, body);
    });
}
