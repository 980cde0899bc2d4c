import type { Command } from 'commander';
import type { ServiceResource } from '../model/resources.js';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path, type ApiClient } from './client.js';
import { Refused } from './failure.js';
import { addCircumstances, addWait, apiCommand, circumstances, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import type { Terminal } from './terminal.js';

interface RouteFlags extends MutationFlags {
  readonly host: string;
  readonly path: string;
  readonly remove?: boolean;
}

/** Somebody else may change the service between reading and writing; then it is read again this often. */
const TRIES = 3;

/** `ebbgate route`: adds or removes one route of a service. */
export function addRoute(program: Command, terminal: Terminal): void {
  const command = apiCommand(program, 'route <SVC>', 'send a host and path to a service')
    .requiredOption('--path <P>', 'a prefix at segment borders, like / or /api')
    .option('--host <H>', 'an exact host, *.suffix, or * for any', '*')
    .option('--remove', 'take this route away');
  addWait(command, 'until every gateway follows', 'how long to wait at most');
  addCircumstances(command, { lasting: false });
  command.action(async (service: string, flags: RouteFlags) => {
    const client = createClient(flags, terminal);
    const outcome = await change(client, service, flags, TRIES);
    await conclude(terminal, client, flags, outcome, ['@routes']);
  });
}

async function change(
  client: ApiClient,
  service: string,
  flags: RouteFlags,
  tries: number,
): Promise<MutationResource> {
  const target = path('services', service);
  const { body, etag } = await client.get<ServiceResource>(target);
  const others = body.spec.routes.filter((route) => route.host !== flags.host || route.path !== flags.path);
  const routes = flags.remove === true ? others : [...others, { host: flags.host, path: flags.path }];
  try {
    const answer = await client.patch<MutationResource>(
      target,
      { routes, ...circumstances(flags) },
      etag ?? '0',
      dryRun(flags),
    );
    return answer.body;
  } catch (error) {
    const stale = error instanceof Refused && error.problem.code === 'precondition_failed';
    if (!stale || tries <= 1) throw error;
    return change(client, service, flags, tries - 1);
  }
}
