import { own } from '../model/dictionary.js';
import { readFileSync } from 'node:fs';
import { CliFailure, EXIT } from './failure.js';
import { err, ok, type Result } from '../model/result.js';

/** Variables with secrets. Each may be in a file instead, which the variable with `_FILE` at its end names. */
const SECRETS = ['EBBGATE_TOKEN', 'EBBGATE_REDIS'] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `env` with every secret read from its file, white space around it cut off. A failure lists all that is wrong, a line
 * each. An empty file is a failure: without a token the API would be open, and nobody asked for that.
 */
export function withSecretFiles(env: Environment): Result<Environment, readonly string[]> {
  const read: Record<string, string> = {};
  const errors: string[] = [];
  for (const name of SECRETS) {
    const variable = `${name}_FILE`;
    const file = own(env, variable);
    if (!file) continue;
    if (env[name]) {
      errors.push(`${variable}: ${name} is set too; set one of them`);
      continue;
    }
    const secret = readSecret(file);
    if (secret.ok) read[name] = secret.value;
    else errors.push(`${variable}: ${secret.error}`);
  }
  return errors.length === 0 ? ok({ ...env, ...read }) : err(errors);
}

/** The key in the file that an option names, `-` = standard input; what is wrong with it is a usage failure that names the option. */
export function readKey(option: string, file: string): string {
  const read = readSecret(file === '-' ? 0 : file);
  if (read.ok) return read.value;
  throw new CliFailure(EXIT.usage, `${option}: ${read.error}`);
}

function readSecret(file: string | 0): Result<string, string> {
  try {
    const secret = readFileSync(file, 'utf8').trim();
    return secret === '' ? err(`${file === 0 ? 'standard input' : file} is empty`) : ok(secret);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
