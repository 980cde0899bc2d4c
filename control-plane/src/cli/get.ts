import { Option, type Command } from 'commander';
import type { RouteResource } from '../model/route_resources.js';
import type {
  ControllerResource,
  GatewayResource,
  InstanceResource,
  OperationResource,
  IntentResource,
  ProblemResource,
  ServiceEvent,
  ServiceResource,
} from '../model/resources.js';
import { createClient, path, type ApiClient } from './client.js';
import * as columns from './columns.js';
import { CliFailure, EXIT } from './failure.js';
import { apiCommand, type CommonFlags } from './flags.js';
import { table, type Column } from './table.js';
import type { Terminal } from './terminal.js';
import { show } from './watch.js';

interface GetFlags extends CommonFlags {
  readonly watch?: boolean;
  readonly service?: string;
  readonly expiring?: boolean;
  readonly host?: string;
}

interface Items<T> {
  readonly items: readonly T[];
}

/** `ebbgate get NOUN` and `ebbgate events SVC`. */
export function addGet(program: Command, terminal: Terminal): void {
  const get = program.command('get').description('list what there is');
  noun<ServiceResource>(get, terminal, 'services', 'service', columns.SERVICE, (s) => s.service);
  noun<GatewayResource>(get, terminal, 'gateways', 'gateway', columns.GATEWAY, (g) => g.id);
  noun<ControllerResource>(get, terminal, 'controllers', 'controller', columns.CONTROLLER, (c) => c.id);
  noun<OperationResource>(get, terminal, 'operations', 'operation', columns.OPERATION, (o) => o.id);
  noun<IntentResource>(get, terminal, 'intents', 'service', columns.INTENT, (o) => o.service).option(
    '--expiring',
    'only what ends by itself, the next one first',
  );
  noun<ProblemResource>(get, terminal, 'problems', 'service', columns.PROBLEM, (p) => p.service ?? '');
  noun<RouteResource>(get, terminal, 'routes', 'service', columns.ROUTE, (r) => r.service).option(
    '--host <H>',
    'only those that a request for this host may take',
  );
  noun<InstanceResource>(get, terminal, 'instances', 'service', columns.INSTANCE, (i) => i.service)
    .option('-s, --service <SVC>', 'the same as naming it')
    .addHelpText('after', '\nWithout a service: the instances of all.');
  addEvents(program, terminal);
}

function noun<T>(
  get: Command,
  terminal: Terminal,
  plural: string,
  argument: string,
  shown: readonly Column<T>[],
  nameOf: (item: T) => string,
): Command {
  const command = apiCommand(get, `${plural} [${argument.toUpperCase()}...]`, `list ${plural}`).addOption(
    watchOption(),
  );
  return command.action(async (given: readonly string[], flags: GetFlags) => {
    const names = flags.service === undefined ? given : [...given, flags.service];
    const client = createClient(flags, terminal);
    let missing: readonly string[] = [];
    await show(terminal, flags.output, flags.watch === true, async () => {
      const all =
        plural === 'instances' ? await instances(client, names) : await items(client, plural, flags);
      const wanted = (all as readonly T[]).filter(
        (item) => names.length === 0 || names.includes(nameOf(item)),
      );
      missing = await unknown(client, plural, argument, names, wanted.map(nameOf));
      return {
        value: { items: wanted },
        lines: table(shown, wanted, flags.output === 'wide'),
        none: `no ${plural}`,
      };
    });
    if (missing.length > 0)
      throw new CliFailure(EXIT.error, `there is no ${argument} ${missing.join(', nor ')}`, [
        `next: ebbgate get ${argument === 'service' ? 'services' : plural} shows what there is`,
      ]);
  });
}

/** The names that nothing is called by. A service without an intent exists all the same. */
async function unknown(
  client: ApiClient,
  plural: string,
  argument: string,
  names: readonly string[],
  found: readonly string[],
): Promise<readonly string[]> {
  const missing = [...new Set(names)].filter((name) => !found.includes(name));
  if (missing.length === 0 || plural === 'instances') return [];
  if (argument !== 'service' || (plural !== 'intents' && plural !== 'routes')) return missing;
  const services = await serviceNames(client);
  return missing.filter((name) => name !== '*' && !services.includes(name));
}

async function items(client: ApiClient, plural: string, flags: GetFlags): Promise<readonly unknown[]> {
  const query = new URLSearchParams({
    ...(flags.expiring === true ? { expiring: 'true' } : {}),
    ...(flags.host === undefined ? {} : { host: flags.host }),
  }).toString();
  return (await client.get<Items<unknown>>(`${path(plural)}${query === '' ? '' : `?${query}`}`)).body.items;
}

async function instances(client: ApiClient, given: readonly string[]): Promise<readonly InstanceResource[]> {
  const names = given.length === 0 ? await serviceNames(client) : [...new Set(given)];
  const lists = await Promise.all(
    names.map((name) => client.get<Items<InstanceResource>>(path('services', name, 'instances'))),
  );
  return lists.flatMap((list) => list.body.items);
}

async function serviceNames(client: ApiClient): Promise<readonly string[]> {
  return (await client.get<Items<ServiceResource>>(path('services'))).body.items.map((one) => one.service);
}

function watchOption(): Option {
  return new Option('-w, --watch', 'go on and show every change, until Ctrl-C');
}

function addEvents(program: Command, terminal: Terminal): void {
  apiCommand(program, 'events <SVC>', 'what happened to a service: what, who, when')
    .addOption(watchOption())
    .action(async (service: string, flags: GetFlags) => {
      const client = createClient(flags, terminal);
      await show(terminal, flags.output, flags.watch === true, async () => {
        const { body } = await client.get<Items<ServiceEvent>>(path('services', service, 'events'));
        return { value: body, lines: table(columns.EVENT, body.items, false), none: 'no events' };
      });
    });
}
