import type { Command } from 'commander';
import { ROUTE_MEMBERS, type RouteSpec } from '../model/route.js';
import type { ServiceResource } from '../model/resources.js';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path, type ApiClient } from './client.js';
import { CliFailure, EXIT, Refused } from './failure.js';
import { addCircumstances, addWait, apiCommand, circumstances, dryRun, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import { addRequest, testRoute, type RouteTestFlags } from './route_test.js';
import { patchOf } from './spec_text.js';
import type { Terminal } from './terminal.js';

interface RouteFlags extends MutationFlags, RouteTestFlags {
  readonly host: string;
  readonly path?: string;
  readonly remove?: boolean;
}

/** Somebody else may change the service between reading and writing; then it is read again this often. */
const TRIES = 3;

/**
 * `ebbgate route`: adds or removes one route of a service. `ebbgate route test METHOD URL` says which route a request takes; a
 * service may be called `test` all the same.
 */
export function addRoute(program: Command, terminal: Terminal): void {
  const command = apiCommand(program, 'route <SVC> [MEMBER=VALUE...]', 'send requests to a service')
    .option('--path <P>', 'a prefix at segment borders, like / or /api')
    .option('--host <H>', 'an exact host, *.suffix, or * for any', '*')
    .option('--remove', 'take this route away')
    .addHelpText(
      'after',
      '\nLike: ebbgate route shop --path /api name=writes methods=POST,PUT headers=\'[{"name": "x-beta", "exact": "yes"}]\'' +
        '\nebbgate route test METHOD URL [-H LINE] [--client IP]: which route a request takes, and why.' +
        '\nA route without a name is replaced by the next one for the same host and path; one with a name by the next of that name.' +
        '\ndocs/how-to/routing.md shows every member there is.',
    );
  addWait(command, 'until every gateway follows', 'how long to wait at most');
  addCircumstances(command, { lasting: false });
  addRequest(command);
  command.action(async (service: string, words: readonly string[], flags: RouteFlags) => {
    if (flags.path === undefined) {
      const [method = '', url] = words;
      if (service === 'test' && url !== undefined && words.length === 2)
        return testRoute(terminal, method, url, flags);
      throw new CliFailure(EXIT.usage, '--path is needed: a prefix at segment borders, like / or /api', [
        'next: ebbgate route --help',
      ]);
    }
    const given = patchOf(words, ROUTE_MEMBERS, 'methods=GET,HEAD');
    const said = Object.entries(given).filter(([, value]) => value !== null);
    const route: RouteSpec = { host: flags.host, path: flags.path, ...Object.fromEntries(said) };
    const client = createClient(flags, terminal);
    const outcome = await change(client, service, route, flags, TRIES);
    await conclude(terminal, client, flags, outcome, ['@routes']);
  });
}

async function change(
  client: ApiClient,
  service: string,
  route: RouteSpec,
  flags: RouteFlags,
  tries: number,
): Promise<MutationResource> {
  const target = path('services', service);
  const { body, etag } = await client.get<ServiceResource>(target);
  const others = body.spec.routes.filter((one) => !isSame(one, route));
  const routes = flags.remove === true ? others : [...others, route];
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
    return change(client, service, route, flags, tries - 1);
  }
}

/** True if the one is what the other replaces: by name, or where neither has one by host and path. */
function isSame(one: RouteSpec, other: RouteSpec): boolean {
  if (one.name !== undefined || other.name !== undefined) return one.name === other.name;
  return one.host === other.host && one.path === other.path;
}
