import type { Command } from 'commander';
import { readClientIdentity, type ClientFiles } from '../disk/api_identity.js';
import { own } from '../model/dictionary.js';
import { err, ok, type Result } from '../model/result.js';
import type { Environment } from './secret_files.js';

/*
 * The files by which whoever asks the control API by TLS believes it, and proves who it is.
 */

/** The flags that name them. */
export interface ApiFileFlags {
  readonly apiCa?: string;
  readonly apiCert?: string;
  readonly apiKey?: string;
}

/** Adds the flags to a command. */
export function addApiFiles(command: Command): Command {
  return command
    .option(
      '--api-ca <FILE>',
      "PEM: who signs the control API's certificate (EBBGATE_API_CA; default: whom Node trusts)",
    )
    .option('--api-cert <FILE>', 'PEM: a client certificate, which a token is for (EBBGATE_API_CERT)')
    .option('--api-key <FILE>', 'PEM: its key (EBBGATE_API_KEY)');
}

/** The files that flags, else the environment name, tried; null if there are none. A failure names each that cannot be used, and how it was given. */
export function apiFiles(
  flags: ApiFileFlags,
  env: Environment,
): Result<ClientFiles | null, readonly string[]> {
  const given = (flag: string, value: string | undefined, variable: string) =>
    value === undefined ? { file: own(env, variable) ?? '', name: variable } : { file: value, name: flag };
  const ca = given('--api-ca', flags.apiCa, 'EBBGATE_API_CA');
  const cert = given('--api-cert', flags.apiCert, 'EBBGATE_API_CERT');
  const key = given('--api-key', flags.apiKey, 'EBBGATE_API_KEY');
  if ([ca, cert, key].every(({ file }) => file === '')) return ok(null);
  if (cert.file !== '' && key.file === '')
    return err([`--api-key or EBBGATE_API_KEY is missing: ${cert.name} needs its key`]);
  if (key.file !== '' && cert.file === '')
    return err([`--api-cert or EBBGATE_API_CERT is missing: ${key.name} needs its certificate`]);
  const trusted = readClientIdentity({ ca: ca.file, cert: '', key: '' });
  const shown = readClientIdentity({ ca: '', cert: cert.file, key: key.file });
  const errors = [
    ...(trusted.ok ? [] : [`${ca.name}: ${trusted.error}`]),
    ...(shown.ok ? [] : [`${cert.name} and ${key.name}: ${shown.error}`]),
  ];
  return errors.length === 0 ? ok({ ca: ca.file, cert: cert.file, key: key.file }) : err(errors);
}
