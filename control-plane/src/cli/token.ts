import type { Command } from 'commander';
import { EVERYTHING } from '../model/glob.js';
import type { MutationResource } from '../model/mutation.js';
import { ROLE_NAMES, ROLES } from '../model/role.js';
import type { TokenResource } from '../model/token.js';
import { createClient, path } from './client.js';
import { apiCommand, circumstances, dryRun, durationOption, type MutationFlags } from './flags.js';
import { conclude } from './outcome.js';
import { isMachine, print } from './output.js';
import { fields, table, type Column } from './table.js';
import type { Terminal } from './terminal.js';

interface CreateFlags extends MutationFlags {
  readonly role: string;
  readonly services?: string;
  readonly gateways?: string;
  readonly certificate?: string;
}

/** What the API answers of a token that was made. */
interface Created {
  readonly name: string;
  readonly role: string;
  readonly scope: string;
  readonly until: string | null;
  readonly dry_run: boolean;
  readonly secret: string | null;
}

interface Whoami {
  readonly name: string;
  readonly by: string;
  readonly role: string;
  readonly scope: string;
  readonly proof: string;
  readonly until: string | null;
}

const COLUMNS: readonly Column<TokenResource>[] = [
  { head: 'TOKEN', show: ({ name }) => name },
  { head: 'ROLE', show: ({ role }) => role },
  { head: 'FOR', show: ({ scope }) => scope },
  {
    head: 'PROOF',
    show: ({ certificate }) => (certificate === null ? 'secret' : `certificate ${certificate}`),
  },
  { head: 'UNTIL', show: ({ until, expired }) => (expired ? `expired ${until ?? ''}` : (until ?? '')) },
  { head: 'BY', show: ({ by }) => by, wide: true },
  { head: 'SINCE', show: ({ since }) => since, wide: true },
  { head: 'ID', show: ({ id }) => id, wide: true },
  { head: 'REASON', show: ({ reason }) => reason, wide: true },
];

/** `ebbgate token create|list|revoke` and `ebbgate whoami`. */
export function addToken(program: Command, terminal: Terminal): void {
  const token = program.command('token').description('who may use the control API, and for what');
  addCreate(token, terminal);
  apiCommand(token, 'list', 'the tokens, without their secrets').action(async (flags: MutationFlags) => {
    const { body } = await createClient(flags, terminal).get<{ readonly items: readonly TokenResource[] }>(
      path('tokens'),
    );
    print(terminal, flags.output, body, () =>
      body.items.length === 0 ? ['no tokens'] : table(COLUMNS, body.items, flags.output === 'wide'),
    );
  });
  apiCommand(token, 'revoke <NAME>', 'refuse it from now on, at every controller')
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .action(async (name: string, flags: MutationFlags) => {
      const client = createClient(flags, terminal);
      const query = { ...dryRun(flags), reason: flags.reason };
      const { body } = await client.delete<MutationResource>(path('tokens', name), query);
      await conclude(terminal, client, flags, body);
    });
  apiCommand(program, 'whoami', 'who you are for the control API, and what you may do').action(
    async (flags: MutationFlags) => {
      const { body } = await createClient(flags, terminal).get<Whoami>(path('whoami'));
      const { name, by, role, scope, proof, until } = body;
      print(terminal, flags.output, body, () =>
        fields([
          ['Name', name],
          ['Role', role],
          [role === 'gateway' ? 'Gateways' : 'Services', scope],
          ['Proof', proof],
          ['Until', until ?? 'revoked'],
          ['Recorded as', by],
        ]),
      );
    },
  );
}

function addCreate(token: Command, terminal: Terminal): void {
  const roles = ROLE_NAMES.map((role) => `  ${role.padEnd(9)}  ${ROLES[role]}`).join('\n');
  apiCommand(token, 'create <NAME>', 'make a token; its secret is printed once, and kept nowhere')
    .requiredOption('--role <ROLE>', 'what it may do')
    .option('--services <PATTERN>', 'the services it is for, like shop or shop-*; all unless given')
    .option('--gateways <PATTERN>', 'of role gateway: the gateways it is for')
    .option(
      '--certificate <NAME>',
      'proven by the client certificate of this name (its first DNS name or URI, else its common name); no secret is made',
    )
    .addOption(durationOption('--expires <DURATION>', 'refused after so long; never unless given'))
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .addHelpText('after', `\nRoles:\n${roles}`)
    .action(async (name: string, flags: CreateFlags) => {
      const { role, services, gateways, certificate } = flags;
      const scope = (role === 'gateway' ? gateways : services) ?? EVERYTHING;
      const body = { name, role, scope, ...(certificate === undefined ? {} : { certificate }) };
      const given = { ...body, ...circumstances({ ...flags, force: false }) };
      const client = createClient(flags, terminal);
      const answer = await client.post<Created>(path('tokens'), given, dryRun(flags));
      const { secret, dry_run, until } = answer.body;
      if (isMachine(flags.output)) {
        print(terminal, flags.output, answer.body, () => []);
        return;
      }
      const what = `${name}: ${role} of ${scope}${until === null ? '' : ` until ${until}`}`;
      terminal.err(dry_run ? `would make token ${what}\n` : `token ${what}\n`);
      // Alone on standard output: ebbgate token create … > FILE keeps the secret and nothing else.
      if (secret !== null) terminal.out(`${secret}\n`);
    });
}
