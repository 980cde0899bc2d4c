import { Option, type Command } from 'commander';
import { STRAGGLERS } from '../model/release_strategy.js';
import { isObject } from '../model/shape.js';
import { CliFailure, EXIT } from './failure.js';
import { durationOption } from './flags.js';

/** The flags of a release in place. */
export interface InPlaceFlags {
  readonly inPlace?: boolean;
  readonly batch?: string;
  readonly maxUnavailable?: string;
  readonly maxFailed?: string;
  readonly webhook?: string;
  readonly command?: string;
  readonly callTimeout?: string;
  readonly upgradeTimeout?: string;
  readonly drainTimeout?: string;
  readonly soak?: string;
  readonly stragglers?: string;
}

/** Adds them to `release start`. */
export function addInPlaceOptions(command: Command): Command {
  return command
    .option('--in-place', 'upgrade the instances batch by batch, instead of shares')
    .option('--batch <N>', 'in place: instances at a time, or percent (20%); default 1')
    .option('--max-unavailable <N>', 'in place: never more than so many away, or percent; default the batch')
    .option('--max-failed <N>', 'in place: failed ones of a batch that are tolerated; default 0')
    .addOption(
      new Option(
        '--webhook <URL>',
        'in place: what upgrades a batch; without it and --command a person does',
      ).conflicts('command'),
    )
    .option('--command <NAME>', 'in place: the hook command that upgrades a batch')
    .addOption(
      durationOption('--call-timeout <DURATION>', 'in place: of one call; default 30s, a command 10m'),
    )
    .addOption(
      durationOption('--upgrade-timeout <DURATION>', 'in place: until an instance must be back; default 10m'),
    )
    .addOption(durationOption('--drain-timeout <DURATION>', "in place: of a batch; default the controller's"))
    .addOption(durationOption('--soak <DURATION>', 'in place: watched after every batch; default not at all'))
    .addOption(
      new Option(
        '--stragglers <WHAT>',
        'in place: instances that you have out of use: leave (default), wait for them, or only: nothing but what an earlier release left',
      ).choices([...STRAGGLERS]),
    );
}

/**
 * The member `in_place` of the body, or none: what a file says (`file`) with the flags over it. A flag that needs --in-place
 * and is given without it is a mistake.
 */
export function inPlaceBody(flags: InPlaceFlags, file: unknown): object {
  const { webhook, command, callTimeout: timeout } = flags;
  const called = (what: object): object => ({ ...what, ...(timeout === undefined ? {} : { timeout }) });
  const body = Object.fromEntries(
    Object.entries({
      batch: amount('--batch', flags.batch),
      max_unavailable: amount('--max-unavailable', flags.maxUnavailable),
      max_failed: amount('--max-failed', flags.maxFailed),
      webhook: webhook === undefined ? undefined : called({ url: webhook }),
      command: command === undefined ? undefined : called({ name: command }),
      upgrade_timeout: flags.upgradeTimeout,
      drain_timeout: flags.drainTimeout,
      soak: flags.soak,
      stragglers: flags.stragglers,
    }).filter(([, value]) => value !== undefined),
  );
  if (flags.inPlace === true || isObject(file))
    return { in_place: { ...(isObject(file) ? file : {}), ...body } };
  if (Object.keys(body).length > 0 || timeout !== undefined)
    throw new CliFailure(EXIT.usage, 'batches, upgrades and soaks of this kind need --in-place');
  return {};
}

/** `2` as a number, `20%` as it is; the API checks the rest. */
export function amount(flag: string, text: string | undefined): number | string | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  if (/^\d{1,3}%$/.test(text) && flag !== '--max-failed') return text;
  throw new CliFailure(EXIT.usage, `${flag}: ${JSON.stringify(text)} is no number of instances`);
}
