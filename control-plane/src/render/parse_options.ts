import { z } from 'zod';
import { own, put } from '../model/dictionary.js';
import { err, ok, type Result } from '../model/result.js';
import { addressOf } from '../model/redis_url.js';
import { isAddress } from './field.js';
import { LOG_MEMBERS } from './log_members.js';
import { redisAuthorities } from './redis_field.js';
import { GATEWAY_OPTIONS, type GatewayOption, type GatewayOptions, type GivenOptions } from './options.js';

/** A value that did not pass, with the flag that takes it. */
export interface OptionError {
  readonly option: string;
  readonly flag: string;
  /** Names the flag, says what is wrong and what would pass. */
  readonly message: string;
}

const SHAPE = z.strictObject(
  Object.fromEntries(Object.entries(GATEWAY_OPTIONS).map(([name, { field }]) => [name, field])),
);

/** Checks every option and lists every error at once. */
export function parseOptions(given: GivenOptions): Result<GatewayOptions, readonly OptionError[]> {
  const filled: Record<string, unknown> = { ...given };
  for (const [name, { default: fallback }] of Object.entries(GATEWAY_OPTIONS))
    put(filled, name, own(filled, name) ?? fallback);
  const parsed = SHAPE.safeParse(filled);
  if (!parsed.success) return err(parsed.error.issues.flatMap((issue) => optionErrors(issue, filled)));
  const options = parsed.data as GatewayOptions;
  const clashes = crossErrors(options);
  return clashes.length > 0 ? err(clashes) : ok(options);
}

function optionErrors(issue: z.core.$ZodIssue, given: Record<string, unknown>): OptionError[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((name) => ({ option: name, flag: name, message: `${name} is not an option` }));
  const name = String(issue.path[0]);
  if (own(given, name) === undefined) return [optionError(name, 'must be given')];
  return [optionError(name, issue.message)];
}

function optionError(name: string, message: string): OptionError {
  const flag = own(GATEWAY_OPTIONS as Record<string, GatewayOption>, name)?.flag ?? name;
  return { option: name, flag, message: `${flag} ${message}` };
}

/** What no option can decide alone. */
function crossErrors(options: GatewayOptions): OptionError[] {
  const errors: OptionError[] = [];
  const sockets = new Set<string>();
  for (const { address: at, port } of [...options.listen, options.admin_listen]) {
    const socket = `${at}:${String(port)}`;
    if (sockets.has(socket)) errors.push(optionError('listen', `${socket} is used twice`));
    sockets.add(socket);
  }
  if (options.certificates !== '' && options.listen.every(({ tls }) => tls === null))
    errors.push(
      optionError('certificates', 'needs a --listen with cert= and key=, for clients that ask for no name'),
    );
  const names = new Set<string>(LOG_MEMBERS);
  for (const { name } of options.log_fields) {
    if (names.has(name)) errors.push(optionError('log_fields', `${name} is in the log already`));
    names.add(name);
  }
  const profiles = new Set<string>();
  for (const { name } of options.upstream_tls) {
    if (profiles.has(name)) errors.push(optionError('upstream_tls', `${name} is there twice`));
    profiles.add(name);
  }
  return [...errors, ...redisErrors(options)];
}

function redisErrors(options: GatewayOptions): OptionError[] {
  const errors: OptionError[] = [];
  const isNamed = (url: string): boolean =>
    url !== '' && !addressOf(url).nodes.every(({ host }) => isAddress(host));
  const named = [
    ...(options.redis === '' && !isAddress(options.redis_host) ? [['redis_host', 'is a name'] as const] : []),
    ...(isNamed(options.redis) ? [['redis', 'has a name as a host'] as const] : []),
    ...(isNamed(options.redis_replica) ? [['redis_replica', 'has a name as a host'] as const] : []),
  ];
  if (options.resolver.length === 0)
    for (const [name, what] of named)
      errors.push(optionError(name, `${what}: give its IP address, or add --resolver ADDRESS`));
  if (redisAuthorities([options.redis, options.redis_replica]).length > 1)
    errors.push(
      optionError('redis_replica', 'must have the ca of --redis: one file has the authorities of both'),
    );
  return errors;
}
