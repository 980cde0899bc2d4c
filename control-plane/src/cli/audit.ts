import { InvalidArgumentError, type Command } from 'commander';
import type { AuditResource } from '../model/audit.js';
import { changeLines } from './change_lines.js';
import { createClient, path, type ApiClient } from './client.js';
import { apiCommand, type CommonFlags } from './flags.js';
import { print } from './output.js';
import { table, type Column } from './table.js';
import { safe, type Terminal } from './terminal.js';

interface AuditFlags extends CommonFlags {
  readonly since?: string;
  readonly by?: string;
  readonly verb?: string;
  readonly service?: string;
  readonly limit: number;
}

interface Page {
  readonly items: readonly AuditResource[];
  readonly next: number | null;
}

/** What one request may ask for. */
const PAGE = 500;

/** `ebbgate audit`: who changed what, when, why and from where. */
export function addAudit(program: Command, terminal: Terminal): void {
  apiCommand(program, 'audit [RECORD]', 'who changed what, when and why; newest first, or one record')
    .option('--since <WHEN>', 'none that is older: how long ago (2h), or a moment (2026-05-01T12:00:00Z)')
    .option('--by <ACTOR>', 'of one person or job')
    .option('--verb <VERB>', 'one kind of change: drain, set_weights, start_release, …')
    .option('-s, --service <SVC>', 'of one service')
    .option('--limit <N>', 'how many at the most', countOf, 50)
    .action(async (record: string | undefined, flags: AuditFlags) => {
      const client = createClient(flags, terminal);
      if (record === undefined) await list(terminal, client, flags);
      else {
        const { body } = await client.get<AuditResource>(path('audit', record));
        print(terminal, flags.output, body, () => describe(body));
      }
    });
}

async function list(terminal: Terminal, client: ApiClient, flags: AuditFlags): Promise<void> {
  const { since, by: actor, verb, service, limit } = flags;
  const asked = Object.entries({ since, actor, verb, service }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as [string, string]],
  );
  const items: AuditResource[] = [];
  let before: number | null = null;
  do {
    const query = new URLSearchParams([
      ...asked,
      ['limit', String(Math.min(PAGE, limit - items.length))],
      ...(before === null ? [] : [['before', String(before)] as [string, string]]),
    ]);
    const { body }: { body: Page } = await client.get<Page>(`${path('audit')}?${query.toString()}`);
    items.push(...body.items);
    before = body.next;
  } while (before !== null && items.length < limit);
  print(terminal, flags.output, { items, next: before }, () =>
    items.length === 0
      ? ['no records']
      : [...table(COLUMNS, items, flags.output === 'wide'), ...more(before)],
  );
}

function more(before: number | null): readonly string[] {
  return before === null ? [] : ['there are older ones: ask for more with --limit'];
}

const COLUMNS: readonly Column<AuditResource>[] = [
  { head: 'RECORD', show: (r) => String(r.n) },
  { head: 'AT', show: (r) => r.at },
  { head: 'BY', show: (r) => r.by },
  { head: 'VERB', show: (r) => r.verb },
  { head: 'OBJECT', show: (r) => r.object },
  { head: 'CHANGED', show: (r) => summary(r) },
  { head: 'REASON', show: (r) => r.reason },
  { head: 'UNTIL', show: (r) => r.until ?? '', wide: true },
  { head: 'FORCE', show: (r) => (r.force ? 'yes' : ''), wide: true },
  { head: 'TOKEN', show: (r) => r.token ?? '', wide: true },
  { head: 'FROM', show: (r) => r.from, wide: true },
  { head: 'REQUEST', show: (r) => r.request_id, wide: true },
  { head: 'OPERATION', show: (r) => r.operation ?? r.release ?? '', wide: true },
  { head: 'UNDOES', show: (r) => (r.undoes === null ? '' : String(r.undoes)), wide: true },
];

/** The first line of what changed, and how many more there are. */
function summary({ changes, more_changes: hidden }: AuditResource): string {
  const lines = changeLines(changes);
  const left = lines.length - 1 + hidden;
  return `${lines[0] ?? ''}${left > 0 ? ` (and ${String(left)} more)` : ''}`;
}

function describe(record: AuditResource): string[] {
  const { changes, more_changes: hidden, overruled, not_undoable: not, undoes } = record;
  const facts = [
    ['verb', record.verb],
    ['object', record.object],
    ['at', record.at],
    ['by', record.by],
    ['token', record.token ?? ''],
    ['from', record.from],
    ['request', record.request_id],
    ['reason', record.reason],
    ['until', record.until ?? ''],
    ['operation', record.operation ?? ''],
    ['release', record.release ?? ''],
    ['undoes', undoes === null ? '' : `record ${String(undoes)}`],
  ];
  return [
    `record ${String(record.n)}`,
    ...facts.flatMap(([name = '', value = '']) => (value === '' ? [] : [`  ${name}: ${value}`])),
    ...changeLines(changes).map((line) => `  ${line}`),
    ...(hidden > 0 ? [`  and ${String(hidden)} more changes`] : []),
    ...(record.force ? ['  guards were overruled'] : []),
    ...overruled.map((one) => `  guard: ${one}`),
    not === null ? `next: ebbgate undo-last ${String(record.n)} --dry-run` : `cannot be undone: ${not}`,
  ].map(safe);
}

function countOf(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('It must be a number from 1.');
  return count;
}
