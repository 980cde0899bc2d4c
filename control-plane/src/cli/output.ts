import { Option, type Command } from 'commander';
import { stringify } from 'yaml';
import type { Terminal } from './terminal.js';

export type Format = 'table' | 'wide' | 'json' | 'yaml';

/** Adds `-o`. */
export function addOutput(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <FORMAT>', 'how to print')
      .choices(['table', 'wide', 'json', 'yaml'])
      .default('table'),
  );
}

/** True if a program will read the output: nothing but the document may be on stdout then. */
export function isMachine(format: Format): format is 'json' | 'yaml' {
  return format === 'json' || format === 'yaml';
}

/** A value as JSON or YAML text, with a line feed at its end. */
export function encode(value: unknown, format: 'json' | 'yaml'): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
}

/** Prints `value` for a program, or `lines` for a person. */
export function print(
  terminal: Terminal,
  format: Format,
  value: unknown,
  lines: () => readonly string[],
): void {
  terminal.out(
    isMachine(format)
      ? encode(value, format)
      : lines()
          .map((line) => `${line}\n`)
          .join(''),
  );
}
