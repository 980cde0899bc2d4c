import { Option, type Command } from 'commander';
import type { ReleaseOutcome } from '../model/release_plane.js';
import type { ReleaseResource } from '../model/release_resources.js';
import { createClient, path, type ApiClient, type Query } from './client.js';
import { CliFailure, EXIT, Refused } from './failure.js';
import { apiCommand, dryRun, durationOption, type CommonFlags } from './flags.js';
import { isMachine, print } from './output.js';
import { addInPlaceOptions, inPlaceBody, type InPlaceFlags } from './release_in_place.js';
import { addSpecFlags, specBody, wholeNumber, type SpecFlags } from './release_spec.js';
import { changeLine, planLines, RELEASE } from './release_text.js';
import { watchToEnd } from './release_watch.js';
import { table } from './table.js';
import { safe, type Terminal } from './terminal.js';
import { show } from './watch.js';

interface Items<T> {
  readonly items: readonly T[];
}

interface ReleaseFlags extends CommonFlags {
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly watch?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
  readonly step?: number;
  readonly full?: boolean;
}

type StartFlags = ReleaseFlags & SpecFlags & InPlaceFlags & { readonly plan?: string };

const NAMES = '\nRELEASE is the id of a release, or a service: then its newest release is meant.';

/** `ebbgate release …` and `ebbgate undo`. */
export function addRelease(program: Command, terminal: Terminal): void {
  const release = program.command('release').description('move a service from one version to another');
  addStart(release, terminal);
  addReads(release, terminal);
  for (const [verb, text] of [
    ['pause', 'pause its steps; the fast gate goes on watching'],
    ['resume', 'go on after a pause by a person or a gate'],
    ['abort', 'go back; it ends cancelled'],
    ['rollback', 'go back; it ends rolled_back'],
  ] as const)
    addVerb(release, terminal, verb, text, false);
  for (const [verb, text] of [
    ['promote', 'end the waiting of this step'],
    ['skip', 'leave this step, whatever it waits for'],
    ['retry', 'begin this step again'],
  ] as const)
    addVerb(release, terminal, verb, text, true);
  addUndo(program, terminal);
}

function addCommon(command: Command): Command {
  return command
    .option('--reason <TEXT>', 'why; kept and shown')
    .option('--dry-run', 'show what would change, write nothing')
    .option('--wait', 'until the release has ended')
    .addOption(durationOption('--timeout <DURATION>', 'how long to wait at most'));
}

function stepNumber(text: string): number {
  const step = wholeNumber(text);
  if (step >= 1) return step;
  throw new CliFailure(EXIT.usage, '--step counts from 1');
}

function addForce(command: Command): Command {
  return command.option('--force', 'guards do not refuse; needs --reason');
}

function addStart(release: Command, terminal: Terminal): void {
  const command = apiCommand(release, 'start <SVC> [VERSION]', 'start a release to a version').addHelpText(
    'after',
    '\nGates that ask outside, webhooks and Prometheus, are given in a --file: see docs/how-to/release-gates.md.',
  );
  addInPlaceOptions(addSpecFlags(command)).option(
    '--plan <HASH>',
    'of the plan that --dry-run showed: another plan is refused',
  );
  addCommon(addForce(command)).action(
    async (service: string, target: string | undefined, flags: StartFlags) => {
      const spec = specBody(target, flags);
      const plan = flags.plan === undefined ? {} : { plan_hash: flags.plan };
      const body = { ...spec, ...inPlaceBody(flags, spec['in_place']), ...plan, ...why(flags) };
      await begin(terminal, createClient(flags, terminal), flags, service, body);
    },
  );
}

async function begin(
  terminal: Terminal,
  client: ApiClient,
  flags: ReleaseFlags,
  service: string,
  body: object,
): Promise<void> {
  const target = path('services', service, 'releases');
  const { body: outcome } = await client.post<ReleaseOutcome>(target, body, dryRun(flags));
  await conclude(terminal, client, flags, outcome, planLines(outcome.plan));
}

function addReads(release: Command, terminal: Terminal): void {
  apiCommand(release, 'get [RELEASE]', 'the releases that run; of a service all, or the one of an id')
    .addOption(new Option('-w, --watch', 'go on and show every change, until Ctrl-C'))
    .action(async (name: string | undefined, flags: ReleaseFlags) => {
      await list(terminal, flags, name);
    });
  apiCommand(release, 'history <RELEASE>', 'who, why, how each ended').action(
    async (name: string, flags: ReleaseFlags) => {
      await list(terminal, { ...flags, output: flags.output === 'table' ? 'wide' : flags.output }, name);
    },
  );
  apiCommand(release, 'plan <RELEASE>', 'what it does step by step, and what blocks it')
    .addHelpText('after', `${NAMES}\nThe plan of one that is not started yet: release start --dry-run.`)
    .action(async (name: string, flags: ReleaseFlags) => {
      const client = createClient(flags, terminal);
      const { id } = await resolve(client, name);
      const { body } = await client.get<ReleaseOutcome['plan']>(path('releases', id, 'plan'));
      print(terminal, flags.output, body, () => planLines(body));
    });
  apiCommand(release, 'watch <RELEASE>', 'show how it comes on, until it has ended')
    .addHelpText('after', NAMES)
    .addOption(durationOption('--timeout <DURATION>', 'how long to wait at most'))
    .action(async (name: string, flags: ReleaseFlags) => {
      const client = createClient(flags, terminal);
      await watchToEnd(terminal, client, flags, (await resolve(client, name)).id);
    });
}

/** Those of a service, or the one of an id; all that run without a name. */
async function list(terminal: Terminal, flags: ReleaseFlags, name: string | undefined): Promise<void> {
  const client = createClient(flags, terminal);
  await show(terminal, flags.output, flags.watch === true, async () => {
    const items = await releases(client, name);
    const lines = table(RELEASE, items, flags.output === 'wide');
    return { value: { items }, lines, none: 'no releases' };
  });
}

async function releases(client: ApiClient, name: string | undefined): Promise<readonly ReleaseResource[]> {
  const one = name === undefined ? undefined : await byId(client, name);
  if (one) return [one];
  const from = name === undefined ? path('releases') : path('services', name, 'releases');
  return (await client.get<Items<ReleaseResource>>(from)).body.items;
}

/** Undefined: there is none, but a service may be called so. */
async function byId(client: ApiClient, name: string): Promise<ReleaseResource | undefined> {
  if (!name.startsWith('rel-')) return undefined;
  try {
    return (await client.get<ReleaseResource>(path('releases', name))).body;
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.code !== 'not_found') throw error;
    const { body } = await client.get<Items<{ readonly service: string }>>(path('services'));
    if (body.items.some((one) => one.service === name)) return undefined;
    throw error;
  }
}

function addVerb(release: Command, terminal: Terminal, verb: string, text: string, stepped: boolean): void {
  const command = apiCommand(release, `${verb} <RELEASE>`, text).addHelpText('after', NAMES);
  if (stepped)
    addForce(
      command.addOption(
        new Option(
          '--step <N>',
          'the step that you mean, from 1, on the way back the batch of that; absent: the one it is at',
        ).argParser(stepNumber),
      ),
    );
  if (verb === 'promote') command.option('--full', 'to the last step; soaks and gates between are left out');
  addCommon(command).action(async (name: string, flags: ReleaseFlags) => {
    const client = createClient(flags, terminal);
    const { id, step, turned } = await resolve(client, name);
    const body = {
      ...why(flags),
      ...(stepped
        ? { expected_step: flags.step === undefined ? step : flags.step + (turned?.step ?? -1) }
        : {}),
      ...(flags.full === true ? { full: true } : {}),
    };
    const query: Query = dryRun(flags);
    const { body: outcome } = await client.post<ReleaseOutcome>(path('releases', id, verb), body, query);
    const said = outcome.changed ? changeLine(outcome.release) : 'nothing changes: it is so already';
    await conclude(terminal, client, flags, outcome, [said, ...outcome.notes.map(safe)]);
  });
}

function addUndo(program: Command, terminal: Terminal): void {
  const command = apiCommand(program, 'undo <SVC>', 'a release to the version that was stable before').option(
    '--to <V>',
    'to this version instead',
  );
  addCommon(addForce(command)).action(
    async (service: string, flags: ReleaseFlags & { readonly to?: string }) => {
      const client = createClient(flags, terminal);
      const { body } = await client.get<Items<ReleaseResource>>(path('services', service, 'releases'));
      // Who finished with stragglers changed no version.
      const last = body.items.find((one) => one.state === 'succeeded' && one.stable !== one.target);
      const target = flags.to ?? last?.stable;
      if (target === undefined)
        throw new CliFailure(EXIT.conflict, `no release of ${service} that succeeded is remembered`, [
          'next: ebbgate undo SVC --to V',
        ]);
      // Against guards a person has to say why.
      const reason = flags.force === true ? {} : { reason: `undo to ${target}` };
      // The same way back: what was upgraded in place has no old instances that could be given a share.
      const how = last === undefined ? { steps: [{ weight: 100 }] } : { like: last.id };
      await begin(terminal, client, flags, service, { target, ...how, ...reason, ...why(flags) });
    },
  );
}

/** Why, and whether against the guards. */
function why(flags: ReleaseFlags): object {
  return {
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    ...(flags.force === true ? { force: true } : {}),
  };
}

/** A release by its id, or the newest of the service of that name. */
async function resolve(client: ApiClient, name: string): Promise<ReleaseResource> {
  const one = await byId(client, name);
  if (one) return one;
  const { body } = await client.get<Items<ReleaseResource>>(path('services', name, 'releases'));
  const newest = body.items[0];
  if (newest) return newest;
  throw new CliFailure(EXIT.error, `${name} has had no release`, [
    `next: ebbgate release start ${name} VERSION`,
  ]);
}

async function conclude(
  terminal: Terminal,
  client: ApiClient,
  flags: ReleaseFlags,
  outcome: ReleaseOutcome,
  lines: readonly string[],
): Promise<void> {
  const waits = flags.wait === true && !outcome.dry_run;
  if (!(waits && isMachine(flags.output)))
    print(terminal, flags.output, outcome, () => [
      ...lines,
      ...(outcome.dry_run ? ['dry run: nothing was written'] : []),
    ]);
  const { id } = outcome.release;
  if (waits) await watchToEnd(terminal, client, flags, id);
  else if (!isMachine(flags.output) && !outcome.dry_run) terminal.out(`next: ebbgate release watch ${id}\n`);
}
