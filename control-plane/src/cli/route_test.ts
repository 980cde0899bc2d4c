import type { Command } from 'commander';
import type { RouteTestResource } from '../model/route_resources.js';
import { createClient, path } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import type { CommonFlags } from './flags.js';
import { print } from './output.js';
import { routeLine } from './spec_text.js';
import { fields } from './table.js';
import type { Terminal } from './terminal.js';

export interface RouteTestFlags extends CommonFlags {
  readonly header?: readonly string[];
  readonly client?: string;
}

/** Adds what a request may have beside its method and URL. */
export function addRequest(command: Command): Command {
  return command
    .option(
      '-H, --header <LINE>',
      'a header of the request, like "X-Beta: yes"; more than once for more',
      collect,
    )
    .option('--client <IP>', "the client's address");
}

function collect(line: string, before: readonly string[] = []): readonly string[] {
  return [...before, line];
}

/** `ebbgate route test METHOD URL`: which route a request takes, and why. */
export async function testRoute(
  terminal: Terminal,
  method: string,
  url: string,
  flags: RouteTestFlags,
): Promise<void> {
  const query = new URLSearchParams({ method: method.toUpperCase(), url });
  for (const line of flags.header ?? []) query.append('header', line);
  if (flags.client !== undefined) query.append('client', flags.client);
  const client = createClient(flags, terminal);
  const { body } = await client.get<RouteTestResource>(`${path('routes', 'test')}?${query.toString()}`);
  print(terminal, flags.output, body, () => lines(body));
  if (body.route === null)
    throw new CliFailure(EXIT.error, 'no route takes this request: a gateway answers 404', [
      'next: ebbgate get routes shows what there is',
    ]);
}

function lines({ request, route, why, others }: RouteTestResource): readonly string[] {
  const target = `${request.method} ${request.host === '' ? 'any host' : request.host} ${request.path}`;
  return fields([
    ['Request', request.query === '' ? target : `${target} ?${request.query}`],
    ['Service', route?.service ?? 'none'],
    ['Route', route === null ? 'none' : routeLine(route)],
    ['Because', why],
    ['Not', others.map((one) => `${one.route.service}: ${one.route.name}: ${one.why.join('; ')}`)],
  ]);
}
