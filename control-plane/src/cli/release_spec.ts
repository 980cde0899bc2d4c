import { own } from '../model/dictionary.js';
import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { parse } from 'yaml';
import { ON_INCONCLUSIVE } from '../model/release_gates.js';
import { isObject } from '../model/shape.js';
import { CliFailure, EXIT } from './failure.js';
import { durationOption, milliseconds } from './flags.js';
import { amount } from './release_in_place.js';
import { parseSteps, STEPS_HINT } from './release_steps.js';

/*
 * What a release is started with: a file as the API takes it, and flags that go before it. The API checks all of it.
 */

export interface SpecFlags {
  readonly file?: string;
  readonly stable?: string;
  readonly steps?: string;
  readonly gates?: boolean;
  readonly onInconclusive?: string;
  readonly minSamples?: number;
  readonly maxErrorPercent?: number;
  readonly errorRatio?: number;
  readonly latencyPercentile?: number;
  readonly latencyRatio?: number;
  readonly latencySlack?: string;
  readonly failureLimit?: number;
  readonly interval?: string;
  readonly deadline?: string;
  readonly startDeadline?: string;
  readonly minReady?: string;
  readonly delay?: string;
  readonly supersede?: boolean;
}

/** Reads a whole number; anything else is a usage error. */
export function wholeNumber(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new CliFailure(EXIT.usage, `${JSON.stringify(text)} is not a whole number`);
}

function decimal(text: string): number {
  if (/^\d{1,7}(\.\d{1,6})?$/.test(text)) return Number(text);
  throw new CliFailure(EXIT.usage, `${JSON.stringify(text)} is not a number like 2 or 0.5`);
}

/** The flags of `release start` that say what to do, and its gates. */
export function addSpecFlags(command: Command): Command {
  const numbers: readonly (readonly [string, string, (text: string) => number])[] = [
    ['--min-samples <N>', 'requests of each side below which gates give no verdict; default 50', wholeNumber],
    ['--max-error-percent <N>', 'errors that are always tolerated; default 1', decimal],
    ['--error-ratio <N>', 'and so many times the errors of the stable version; default 2', decimal],
    ['--latency-percentile <P>', 'what is compared: 50, 90, 95 (default) or 99', wholeNumber],
    ['--latency-ratio <N>', 'so many times the latency of the stable version; default 2', decimal],
    ['--failure-limit <N>', 'failed verdicts in a step that are tolerated; default 0', wholeNumber],
  ];
  command
    .option(
      '-f, --file <FILE>',
      'the whole release as YAML or JSON, as the API takes it; what a flag says too, the flag decides',
    )
    .option('--steps <STEPS>', `default 5,2m,25,2m,50,2m,100; each is ${STEPS_HINT}`)
    .option('--stable <V>', 'the version to go back to; found out where that is plain')
    .option('--no-gates', 'no gate but the fast one, for blatant failures')
    .addOption(
      new Option(
        '--on-inconclusive <WHAT>',
        'a gate without a verdict: pause (default), pass, fail, or extend the soak',
      ).choices([...ON_INCONCLUSIVE]),
    );
  for (const [flag, text, parser] of numbers) command.addOption(new Option(flag, text).argParser(parser));
  return command
    .addOption(durationOption('--latency-slack <DURATION>', 'and so much more; default 10ms'))
    .addOption(durationOption('--interval <DURATION>', 'between two verdicts of a soak; default 10s'))
    .addOption(
      durationOption('--deadline <DURATION>', 'how long the version may have nobody ready to serve it'),
    )
    .addOption(
      durationOption('--delay <DURATION>', 'the first part of a soak, which gates leave out; default none'),
    )
    .addOption(
      durationOption('--start-deadline <DURATION>', 'how long it may wait for its first step; default 30m'),
    )
    .option(
      '--min-ready <N>',
      'by steps: ready instances that the version needs for its share, or percent of what the share comes to; default 75%',
    )
    .option('--supersede', 'take the place of a release that runs');
}

/** The body that starts a release to `version`; a file may name it instead. */
export function specBody(version: string | undefined, flags: SpecFlags): Readonly<Record<string, unknown>> {
  const file = flags.file === undefined ? {} : specIn(flags.file);
  const target = version ?? file['target'];
  if (target === undefined)
    throw new CliFailure(EXIT.usage, 'name the VERSION to release, or a --file with a target');
  if (version !== undefined && file['target'] !== undefined && file['target'] !== version)
    throw new CliFailure(
      EXIT.usage,
      `--file releases ${JSON.stringify(file['target'])}, and the command line ${version}`,
    );
  const steps = flags.steps === undefined ? null : parseSteps(flags.steps);
  if (steps?.ok === false) throw new CliFailure(EXIT.usage, `--steps: ${steps.error}`);
  const gates = gatesOf(file['gates'], flags);
  return {
    ...file,
    target,
    ...(steps === null ? {} : { steps: steps.value }),
    ...given({
      stable: flags.stable,
      deadline: flags.deadline,
      start_deadline: flags.startDeadline,
      min_ready: amount('--min-ready', flags.minReady),
    }),
    ...(gates === null ? {} : { gates }),
    ...(flags.supersede === true ? { supersede: true } : {}),
  };
}

/** The gates of the file with those of the flags over them; null if neither says anything. */
function gatesOf(file: unknown, flags: SpecFlags): object | null {
  if (file !== undefined && !isObject(file))
    throw new CliFailure(EXIT.usage, '--file: gates must be an object');
  const errors = given({ max_percent: flags.maxErrorPercent, ratio: flags.errorRatio });
  const slack_ms = flags.latencySlack === undefined ? undefined : milliseconds(flags.latencySlack);
  const latency = given({ percentile: flags.latencyPercentile, slack_ms, ratio: flags.latencyRatio });
  if (flags.gates === false && (isGiven(errors) || isGiven(latency)))
    throw new CliFailure(EXIT.usage, 'give either --no-gates or the limits of a gate');
  const gates = {
    ...file,
    ...(isGiven(errors) ? { errors: { ...below(file, 'errors'), ...errors } } : {}),
    ...(isGiven(latency) ? { latency: { ...below(file, 'latency'), ...latency } } : {}),
    ...(flags.gates === false ? { errors: null, latency: null } : {}),
    ...given({
      on_inconclusive: flags.onInconclusive,
      min_samples: flags.minSamples,
      failure_limit: flags.failureLimit,
      interval: flags.interval,
      delay: flags.delay,
    }),
  };
  return isGiven(gates) ? gates : null;
}

function below(file: Readonly<Record<string, unknown>> | undefined, name: string): object {
  const found = file && own(file, name);
  return isObject(found) ? found : {};
}

function given(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function isGiven(members: object): boolean {
  return Object.keys(members).length > 0;
}

function specIn(file: string): Readonly<Record<string, unknown>> {
  let read: unknown;
  try {
    read = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliFailure(EXIT.usage, `--file: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isObject(read)) return read;
  throw new CliFailure(
    EXIT.usage,
    '--file must contain an object, like {"target": "v2", "steps": [{"weight": 5}]}',
  );
}
