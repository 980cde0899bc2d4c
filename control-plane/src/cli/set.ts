import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import type { ServiceResource } from '../model/resources.js';
import type { MutationResource } from '../model/mutation.js';
import { isObject } from '../model/shape.js';
import { createClient, path } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { addCircumstances, addWait, apiCommand, circumstances, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import { specPatch } from './spec_text.js';
import type { Terminal } from './terminal.js';

interface SetServiceFlags extends MutationFlags {
  readonly file?: string;
}

/** `ebbgate set service|instance`: decides how a service is balanced, retried and checked, or what an instance is. */
export function addSet(program: Command, terminal: Terminal): void {
  const set = program.command('set').description('decide something for a service or an instance');
  addSetService(set, terminal);
  addSetInstance(set, terminal);
}

function addSetService(set: Command, terminal: Terminal): void {
  const command = apiCommand(set, 'service <SVC> [PATH=VALUE...]', "change a service's spec")
    .option('-f, --file <FILE>', 'a merge patch as YAML or JSON: null takes a member back to its default')
    .addHelpText(
      'after',
      '\nLike: ebbgate set service shop balancer.algorithm=ewma health.check.path=/health retry.on=gateway_error' +
        '\nPATH= goes back to the default, of a whole section too. Members in _ms take 500 or 500ms, 10s.' +
        '\nebbgate describe service SVC shows every member there is.',
    );
  addWait(command, 'until every gateway follows', 'how long to wait at most');
  addCircumstances(command, { lasting: false });
  command.action(async (service: string, words: readonly string[], flags: SetServiceFlags) => {
    if (words.length > 0 === (flags.file !== undefined))
      throw new CliFailure(EXIT.usage, 'give either PATH=VALUE, like retry.tries=3, or --file FILE', [
        'next: ebbgate set service --help',
      ]);
    const patch = flags.file === undefined ? specPatch(words) : patchIn(flags.file);
    const client = createClient(flags, terminal);
    const target = path('services', service);
    // A name that nobody knows is a typing error and not a new service. The patch itself names all that it changes.
    await client.get<ServiceResource>(target);
    const body = { ...patch, ...circumstances(flags) };
    const outcome = await client.patch<MutationResource>(target, body, '*', dryRun(flags));
    await conclude(terminal, client, flags, outcome.body);
  });
}

function patchIn(file: string): object {
  let read: unknown;
  try {
    read = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliFailure(EXIT.usage, `--file: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isObject(read)) return read;
  throw new CliFailure(EXIT.usage, '--file must contain an object, like {"retry": {"tries": 3}}');
}

function addSetInstance(set: Command, terminal: Terminal): void {
  const command = apiCommand(set, 'instance <INSTANCE> <MEMBER=VALUE...>', 'change what an instance is')
    .requiredOption('-s, --service <SVC>', 'its service')
    .addHelpText(
      'after',
      '\nbackup=true|false: used only while no other instance may be. weight=N: 0 to 10000. MEMBER= goes back to what is registered.',
    );
  addWait(command, 'until every gateway follows', 'how long to wait at most');
  addCircumstances(command, { lasting: true });
  command.action(
    async (id: string, words: readonly string[], flags: MutationFlags & { readonly service: string }) => {
      const client = createClient(flags, terminal);
      const target = path('services', flags.service, 'instances', id);
      const body = { ...Object.fromEntries(words.map(instanceMember)), ...circumstances(flags) };
      const outcome = await client.patch<MutationResource>(target, body, '*', dryRun(flags));
      await conclude(terminal, client, flags, outcome.body);
    },
  );
}

function instanceMember(word: string): readonly [string, boolean | number | null] {
  const match = /^(?:(backup)=(true|false)?|(weight)=(\d{1,9})?)$/.exec(word);
  if (!match)
    throw new CliFailure(
      EXIT.usage,
      `${JSON.stringify(word)} is neither backup=true, backup=false, weight=N, backup= nor weight=`,
    );
  const [, backup, flag, , weight] = match;
  if (backup !== undefined) return ['backup', flag === undefined ? null : flag === 'true'];
  return ['weight', weight === undefined ? null : Number(weight)];
}
