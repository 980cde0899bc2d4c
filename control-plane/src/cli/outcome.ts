import type { OperationResource } from '../model/resources.js';
import type { MutationResource } from '../model/mutation.js';
import { changeLines } from './change_lines.js';
import { milliseconds, type MutationFlags } from './flags.js';
import { CliFailure, EXIT } from './failure.js';
import { followConvergence, followOperation, type FollowOptions } from './follow.js';
import type { ApiClient } from './client.js';
import { isMachine, print } from './output.js';
import { createProgress, createSilence } from './progress.js';
import { safe, type Terminal } from './terminal.js';

/** The deadline is the operation's; the controller needs a moment to write its end down. */
const GRACE_MS = 15_000;

/** What a mutation changed, for a person; one who waits sees the blockers as they go. */
function mutationLines(outcome: MutationResource, waits: boolean): string[] {
  const { changes, guards, blockers, undoes, notes = [] } = outcome;
  return [
    ...(undoes === undefined
      ? []
      : [
          `takes back record ${String(undoes.n)}: ${undoes.verb} of ${undoes.object}, by ${undoes.by} at ${undoes.at}`,
        ]),
    ...(changes.length === 0 ? ['nothing changes: it is so already'] : []),
    ...changeLines(changes),
    ...guards.map((guard) => `warning: guard ${guard.guard}: ${guard.message}`),
    ...notes,
    ...(waits ? [] : blockers).map((blocker) => `waits for: ${blocker}`),
    ...(outcome.dry_run ? ['dry run: nothing was written'] : []),
    ...(outcome.published || outcome.dry_run
      ? []
      : ['accepted, but not published yet: it follows as soon as Redis takes it']),
    ...(outcome.operation === null ? [] : [`operation ${outcome.operation.id}`]),
  ].map(safe);
}

/** Prints a mutation's outcome and, with `--wait`, waits for what it leads to. */
export async function conclude(
  terminal: Terminal,
  client: ApiClient,
  flags: MutationFlags,
  outcome: MutationResource,
  follows: readonly string[] = Object.keys(outcome.etags),
): Promise<void> {
  const waits = flags.wait === true && !outcome.dry_run;
  const operation = outcome.operation;
  const machine = isMachine(flags.output);
  // A program gets one document: of a wait for an operation that is its end.
  if (!(machine && waits && operation))
    print(terminal, flags.output, outcome, () => mutationLines(outcome, waits));
  if (!waits) {
    if (!machine && operation?.state === 'running')
      terminal.out(`next: ebbgate wait operation ${operation.id}\n`);
    return;
  }
  if (operation) await waitOperation(terminal, client, flags, operation.id, GRACE_MS);
  else await waitConvergence(terminal, client, flags, outcome, follows);
}

/** Follows an operation, prints its end, and fails with the exit code of its result unless it is `drained`. */
export async function waitOperation(
  terminal: Terminal,
  client: ApiClient,
  flags: MutationFlags,
  id: string,
  graceMs: number,
): Promise<void> {
  const machine = isMachine(flags.output);
  const progress = machine ? createSilence(terminal) : createProgress(terminal);
  const timeoutMs = flags.timeout === undefined ? null : milliseconds(flags.timeout) + graceMs;
  const ended = await followOperation(
    { client, terminal, note: progress.note, timeoutMs, resume: `ebbgate wait operation ${id}` },
    id,
    progress,
    !machine,
  );
  if (machine) print(terminal, flags.output, ended, () => []);
  report(ended, machine ? () => undefined : terminal.out);
}

/** Who vouches for the end of a drain, by name; and who was not asked. */
function drainedLines({ instances, gateways: { asked, not_asked: gone } }: OperationResource): string[] {
  const what = instances.length === 1 ? 'it' : `any of the ${String(instances.length)}`;
  const [only] = asked;
  const whose =
    only === undefined
      ? 'no gateway is left that could have'
      : asked.length === 1
        ? `gateway ${only} does not have`
        : `none of the ${String(asked.length)} gateways (${listed(asked)}) has`;
  const names = gone.map(({ id, at, how }) => `${id} (${how} ${at})`);
  return [
    `drained: ${whose} an open request for ${what}`,
    ...(names.length === 0
      ? []
      : [`not asked: ${listed(names)}; such a gateway may serve again when it starts`]),
  ];
}

const MOST_LISTED = 10;

function listed(names: readonly string[]): string {
  const more = names.length - MOST_LISTED;
  return [...names.slice(0, MOST_LISTED), ...(more > 0 ? [`${String(more)} more`] : [])].join(', ');
}

function report(ended: OperationResource, say: (text: string) => void): void {
  if (ended.result === 'drained') {
    for (const line of drainedLines(ended)) say(`${safe(line)}\n`);
    return;
  }
  const taken = ended.result === 'cancelled' || ended.result === 'superseded';
  const left = ended.instances.filter((one) => one.requests_left > 0);
  throw new CliFailure(
    taken ? EXIT.conflict : EXIT.unproven,
    `operation ${ended.id} ended ${ended.result ?? 'without a result'}, not drained`,
    [
      ...left.map((one) => safe(`${one.service}/${one.id} had ${String(one.requests_left)} open requests`)),
      ...ended.waiting_for.map((one) => safe(`waited for: ${one}`)),
      ...(taken ? ['next: ebbgate get intents'] : ['next: ebbgate describe operation ' + ended.id]),
    ],
  );
}

/** Waits until every gateway follows the published sets of `services`. */
export async function waitConvergence(
  terminal: Terminal,
  client: ApiClient,
  flags: MutationFlags,
  outcome: Pick<MutationResource, 'published'>,
  services: readonly string[],
): Promise<void> {
  const resume = services.map((service) => `ebbgate wait convergence ${service}`).join(' && ');
  if (!outcome.published)
    throw new CliFailure(
      EXIT.unproven,
      'accepted, but Redis cannot be written, so no gateway follows it yet',
      [`next: ${resume}`],
    );
  const note = (text: string): void => {
    terminal.err(`${text}\n`);
  };
  const start = terminal.monotonic();
  for (const service of services) {
    const spent = terminal.monotonic() - start;
    const timeoutMs = flags.timeout === undefined ? null : Math.max(0, milliseconds(flags.timeout) - spent);
    const options: FollowOptions = { client, terminal, note, timeoutMs, resume };
    const { gateways } = await followConvergence(options, service);
    if (!isMachine(flags.output)) terminal.out(`${service}: ${String(gateways.length)} gateways follow it\n`);
  }
}
