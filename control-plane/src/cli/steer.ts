import { Option, type Command } from 'commander';
import type { MutationResource, Selector } from '../model/mutation.js';
import { addRestoreFrom, restoreFrom, type RestoreFlags } from './copies.js';
import { createClient } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { addCircumstances, addWait, apiCommand, circumstances, dryRun, durationOption } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

interface SteerFlags extends RestoreFlags {
  readonly service?: string;
  readonly version?: string;
  readonly host?: string;
  readonly zone?: string;
  readonly all?: true;
  readonly onTimeout?: string;
  readonly keepSticky?: string;
}

/** `ebbgate drain|undrain|isolate|restore`: the verbs on instances. */
export function addSteer(program: Command, terminal: Terminal): void {
  const drain = verb(program, terminal, 'drain', 'let no new request in, and say when the last one is gone');
  addWait(
    drain,
    'until it is proven, given up, or cut',
    'when the operation stops waiting; absent: after EBBGATE_DRAIN_TIMEOUT of the controller, 10m',
  );
  drain.addOption(
    new Option(
      '--on-timeout <WHAT>',
      'then leave it draining, cut it off, or give it back (default wait)',
    ).choices(['wait', 'cut', 'undrain']),
  );
  drain.addOption(
    durationOption(
      '--keep-sticky <DURATION>',
      'so long clients that are bound to it by cookie keep it; it is proven empty only after that',
    ),
  );
  addCircumstances(drain, { lasting: true });
  for (const [name, text, lasting] of [
    ['undrain', 'give drained and cut instances back', false],
    ['isolate', 'take out at once, with requests still open', true],
    ['restore', 'give isolated instances back', false],
  ] as const) {
    const command = verb(program, terminal, name, text);
    addWait(command, 'until every gateway follows', 'how long to wait at most');
    addCircumstances(command, { lasting });
    if (name === 'restore') addRestoreFrom(command);
  }
}

function verb(program: Command, terminal: Terminal, name: string, description: string): Command {
  return apiCommand(program, `${name} [INSTANCE...]`, description)
    .option('-s, --service <SVC>', 'the service; needed with instances')
    .option('--version <V>', 'every instance of this version')
    .option('--host <H>', 'every instance on this host (an address), across services')
    .option('--zone <Z>', 'every instance in this zone, across services')
    .option('--all', 'every instance of the service')
    .action(async (ids: readonly string[], flags: SteerFlags) => {
      if (flags.from !== undefined) return restoreFrom(terminal, flags);
      const selector = select(name, ids, flags);
      const client = createClient(flags, terminal);
      const body = {
        selector,
        ...circumstances(flags),
        ...(name === 'drain' && flags.timeout !== undefined ? { timeout: flags.timeout } : {}),
        ...(flags.onTimeout === undefined ? {} : { on_timeout: flags.onTimeout }),
        ...(flags.keepSticky === undefined ? {} : { keep_sticky: flags.keepSticky }),
      };
      const outcome = await client.post<MutationResource>(`/v1/${name}s`, body, dryRun(flags));
      await conclude(terminal, client, flags, outcome.body);
    });
}

function select(name: string, ids: readonly string[], flags: SteerFlags): Selector {
  const { service, version, host, zone } = flags;
  if (ids.length > 0 && service === undefined)
    throw new CliFailure(
      EXIT.usage,
      `name the service of the instances: ebbgate ${name} -s SVC ${ids.join(' ')}`,
    );
  if (flags.all === true) {
    if (service === undefined)
      throw new CliFailure(EXIT.usage, `--all needs the service: ebbgate ${name} -s SVC --all`);
    if (ids.length > 0 || version !== undefined || host !== undefined || zone !== undefined)
      throw new CliFailure(EXIT.usage, '--all is every instance of the service: name nothing else');
    return { service, all: true };
  }
  if (ids.length === 0 && version === undefined && host === undefined && zone === undefined)
    throw new CliFailure(EXIT.usage, `name instances, or one of --version, --host, --zone, --all`, [
      `next: ebbgate ${name} --help`,
    ]);
  return {
    ...(service === undefined ? {} : { service }),
    ...(ids.length === 0 ? {} : { ids }),
    ...(version === undefined ? {} : { version }),
    ...(host === undefined ? {} : { host }),
    ...(zone === undefined ? {} : { zone }),
  };
}
