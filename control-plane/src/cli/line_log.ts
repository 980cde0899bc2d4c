import type { Log } from '../model/ports.js';

/** A log for people: one line per entry on stderr, `prefix: message (field value, …)`. `debug` is left out. */
export function lineLog(prefix: string): Log {
  const write =
    (mark: string) =>
    (fields: object, message: string): void => {
      const shown = Object.entries(fields).map(([name, value]) => `${name} ${show(value)}`);
      const details = shown.length > 0 ? ` (${shown.join(', ')})` : '';
      process.stderr.write(`${prefix}: ${mark}${message}${details}\n`);
    };
  return { debug: () => undefined, info: write(''), warn: write('warning: '), error: write('error: ') };
}

function show(value: unknown): string {
  if (value instanceof Error) return value.message;
  if (Array.isArray(value)) return value.map(show).join('; ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
