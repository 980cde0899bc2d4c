import type { Command } from 'commander';
import type { ApiKeyResource, ConsumerPage, ConsumerResource } from '../model/api_consumer.js';
import { KEYS } from '../model/key_documents.js';
import type { MutationResource } from '../model/mutation.js';
import { createClient, path, type ApiClient } from './client.js';
import { addWait, apiCommand, circumstances, dryRun, durationOption, type MutationFlags } from './flags.js';
import { conclude, waitConvergence } from './outcome.js';
import { isMachine, print } from './output.js';
import { readKey } from './secret_files.js';
import { fields, table, type Column } from './table.js';
import { safe, type Terminal } from './terminal.js';

interface ConsumerFlags extends MutationFlags {
  readonly services?: string;
  readonly networks?: string;
  readonly fromFile?: string;
}

/** What the API answers of a key that was given. */
interface AddedKey {
  readonly consumer: string;
  readonly id: string;
  readonly until: string | null;
  readonly dry_run: boolean;
  readonly published: boolean;
  readonly key: string | null;
}

const COLUMNS: readonly Column<ConsumerResource>[] = [
  { head: 'CONSUMER', show: ({ name }) => name },
  { head: 'SERVICES', show: ({ services }) => services.join(',') },
  { head: 'NETWORKS', show: ({ networks }) => networks.join(',') || 'any' },
  { head: 'KEYS', show: ({ keys }) => String(keys.filter(({ expired }) => !expired).length) },
  { head: 'BY', show: ({ by }) => by, wide: true },
  { head: 'SINCE', show: ({ since }) => since, wide: true },
  { head: 'REASON', show: ({ reason }) => reason, wide: true },
];

const KEY_COLUMNS: readonly Column<ApiKeyResource>[] = [
  { head: 'KEY', show: ({ id }) => id },
  {
    head: 'UNTIL',
    show: ({ until, expired }) => (expired ? `expired ${until ?? ''}` : (until ?? 'revoked')),
  },
  { head: 'BY', show: ({ by }) => by },
  { head: 'SINCE', show: ({ since }) => since },
  { head: 'REASON', show: ({ reason }) => reason },
];

/** `ebbgate consumer create|get|list|set|delete` and `ebbgate consumer key add|revoke`. */
export function addConsumer(program: Command, terminal: Terminal): void {
  const consumer = program
    .command('consumer')
    .description('who may send requests to services that ask for an API key');
  addChanges(consumer, terminal);
  addReads(consumer, terminal);
  addKeys(consumer, terminal);
}

function addReads(consumer: Command, terminal: Terminal): void {
  apiCommand(consumer, 'get <NAME>', 'one consumer and its keys, without their texts').action(
    async (name: string, flags: MutationFlags) => {
      const { body } = await createClient(flags, terminal).get<ConsumerResource>(path('consumers', name));
      print(terminal, flags.output, body, () => [
        ...fields([
          ['Name', body.name],
          ['Services', body.services.join(', ')],
          ['Networks', body.networks.join(', ') || 'any'],
          ['Made by', `${body.by} at ${body.since}`],
        ]),
        '',
        ...(body.keys.length === 0 ? ['no keys'] : table(KEY_COLUMNS, body.keys, false)),
      ]);
    },
  );
  apiCommand(consumer, 'list', 'the consumers').action(async (flags: MutationFlags) => {
    const items = await listAll(createClient(flags, terminal));
    print(terminal, flags.output, { items }, () =>
      items.length === 0 ? ['no consumers'] : table(COLUMNS, items, flags.output === 'wide'),
    );
  });
}

/** All of them, page by page. */
async function listAll(client: ApiClient): Promise<readonly ConsumerResource[]> {
  const items: ConsumerResource[] = [];
  for (let after: string | null = null; ;) {
    const from: string = after === null ? '' : `?after=${encodeURIComponent(after)}`;
    const { body }: { readonly body: ConsumerPage } = await client.get<ConsumerPage>(
      `${path('consumers')}${from}`,
    );
    items.push(...body.items);
    if (body.next === null) return items;
    after = body.next;
  }
}

function addChanges(consumer: Command, terminal: Terminal): void {
  addTerms(
    apiCommand(consumer, 'create <NAME>', 'make a consumer; it has no key yet'),
    'all unless given',
    'any unless given',
  )
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, flags: ConsumerFlags) => {
      const client = createClient(flags, terminal);
      const body = { name, ...terms(flags), ...circumstances({ ...flags, force: false }) };
      const answer = await client.post<MutationResource>(path('consumers'), body, dryRun(flags));
      await conclude(terminal, client, flags, answer.body, []);
      if (!isMachine(flags.output) && !answer.body.dry_run)
        terminal.out(`next: ebbgate consumer key add ${safe(name)}\n`);
    });
  addWaitForKeys(
    addTerms(
      apiCommand(consumer, 'set <NAME>', 'change what it may; its keys stay'),
      'as they are unless given',
      'any = everywhere',
    ),
  )
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, flags: ConsumerFlags) => {
      const client = createClient(flags, terminal);
      const body = { ...terms(flags), ...circumstances({ ...flags, force: false }) };
      const answer = await client.patch<MutationResource>(path('consumers', name), body, '*', dryRun(flags));
      await conclude(terminal, client, flags, answer.body, followed(answer.body));
    });
  addWaitForKeys(apiCommand(consumer, 'delete <NAME>', 'remove it, with all of its keys'))
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, flags: ConsumerFlags) => {
      const client = createClient(flags, terminal);
      const query = { ...dryRun(flags), reason: flags.reason };
      const { body } = await client.delete<MutationResource>(path('consumers', name), query);
      await conclude(terminal, client, flags, body, followed(body));
    });
}

function addKeys(consumer: Command, terminal: Terminal): void {
  const key = consumer.command('key').description('the keys of a consumer');
  addWaitForKeys(apiCommand(key, 'add <NAME>', 'give it a key, which is printed once, and kept nowhere'))
    .option(
      '--from-file <FILE>',
      'a key that is brought along, of at least 20 characters, alone in a file; - = standard input',
    )
    .addOption(durationOption('--expires <DURATION>', 'refused after so long; never unless given'))
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, flags: ConsumerFlags) => {
      const client = createClient(flags, terminal);
      const brought = flags.fromFile === undefined ? {} : { key: readKey('--from-file', flags.fromFile) };
      const body = { ...brought, ...circumstances({ ...flags, force: false }) };
      const answer = await client.post<AddedKey>(path('consumers', name, 'keys'), body, dryRun(flags));
      await showKey(terminal, client, flags, answer.body);
    });
  addWaitForKeys(apiCommand(key, 'revoke <NAME> <KEY>', 'refuse a key, by its id, from now on'))
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, id: string, flags: ConsumerFlags) => {
      const client = createClient(flags, terminal);
      const query = { ...dryRun(flags), reason: flags.reason };
      const { body } = await client.delete<MutationResource>(path('consumers', name, 'keys', id), query);
      await conclude(terminal, client, flags, body, followed(body));
    });
}

/** Prints the key before anything is waited for: it is shown this once. */
async function showKey(
  terminal: Terminal,
  client: ApiClient,
  flags: ConsumerFlags,
  added: AddedKey,
): Promise<void> {
  const { consumer, id, until, dry_run, published, key } = added;
  const machine = isMachine(flags.output);
  if (machine) print(terminal, flags.output, added, () => []);
  else {
    const what = `of ${safe(consumer)}${until === null ? '' : ` until ${until}`}`;
    terminal.err(dry_run ? `would give a key ${what}\n` : `key ${id} ${what}\n`);
    // Alone on standard output: ebbgate consumer key add … > FILE keeps the key and nothing else.
    if (key !== null) terminal.out(`${key}\n`);
  }
  if (flags.wait !== true || dry_run) return;
  await waitConvergence({ ...terminal, out: terminal.err }, client, flags, { published }, [KEYS]);
}

function addTerms(command: Command, services: string, networks: string): Command {
  return command
    .option('--services <PATTERNS>', `the services it may send requests to, like shop,cart-*; ${services}`)
    .option(
      '--networks <NETWORKS>',
      `where its requests may come from, like 10.0.0.0/8,fd00::/8; ${networks}`,
    );
}

function addWaitForKeys(command: Command): Command {
  return addWait(command, 'until every gateway obeys', 'how long to wait at most');
}

/** The terms as members of a body. */
function terms({ services, networks }: ConsumerFlags): object {
  const listed = (text: string): readonly string[] => text.split(',').map((one) => one.trim());
  return {
    ...(services === undefined ? {} : { services: listed(services) }),
    ...(networks === undefined ? {} : { networks: networks === 'any' ? [] : listed(networks) }),
  };
}

/** A change without a key is published nowhere, so that nobody has to follow it. */
function followed({ changes }: MutationResource): readonly string[] {
  return changes.length === 0 ? [] : [KEYS];
}
