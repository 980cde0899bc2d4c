import type { Command } from 'commander';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path, type Query } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { addCircumstances, addWait, apiCommand, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

interface WeightFlags extends MutationFlags {
  readonly version?: string;
}

/** `ebbgate weight`: weights of instances, or shares of versions. */
export function addWeight(program: Command, terminal: Terminal): void {
  const command = apiCommand(
    program,
    'weight <SVC> [INSTANCE=N...]',
    'set weights of instances, or shares of versions',
  )
    .option('--version <V=N,…>', 'shares in percent that sum to 100, like v2=20,v1=80; "none" clears them')
    .addHelpText('after', '\nN is 0 to 10000; "INSTANCE=default" goes back to the registered weight.');
  addWait(command, 'until every gateway follows', 'how long to wait at most');
  addCircumstances(command, { lasting: true });
  command.action(async (service: string, weights: readonly string[], flags: WeightFlags) => {
    if (weights.length > 0 === (flags.version !== undefined))
      throw new CliFailure(EXIT.usage, 'give either INSTANCE=N or --version V=N,…', [
        'next: ebbgate weight --help',
      ]);
    const client = createClient(flags, terminal);
    const query: Query = {
      ...dryRun(flags),
      reason: flags.reason,
      force: flags.force === true ? 'true' : undefined,
      expires: flags.expires,
    };
    const [part, body] =
      flags.version === undefined
        ? (['weights', weightMap(weights)] as const)
        : (['versions', shareMap(flags.version)] as const);
    const outcome = await client.patch<MutationResource>(path('services', service, part), body, '*', query);
    await conclude(terminal, client, flags, outcome.body);
  });
}

function weightMap(given: readonly string[]): Record<string, number | null> {
  return Object.fromEntries(
    given.map((text) => {
      const [id, value] = split(text, 'INSTANCE=N');
      return [id, value === 'default' ? null : whole(value, text)];
    }),
  );
}

function shareMap(given: string): Record<string, number> {
  if (given === 'none') return {};
  return Object.fromEntries(
    given.split(',').map((text) => {
      const [version, share] = split(text.trim(), 'V=N');
      return [version, whole(share, text)];
    }),
  );
}

function split(text: string, form: string): [string, string] {
  const at = text.lastIndexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new CliFailure(EXIT.usage, `${JSON.stringify(text)} is not of the form ${form}`);
}

function whole(text: string, where: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CliFailure(EXIT.usage, `${JSON.stringify(where)}: ${JSON.stringify(text)} is not a whole number`);
}
