import { formatDuration, parseDuration } from './duration.js';
import { err, ok, type Result } from './result.js';

/*
 * What one value may look like that a person writes: in the environment, behind a flag, in a file. Each kind reads text, and
 * its failure ends a sentence that begins with the name of the value: "must be …", with what would pass.
 */

/** A kind of value. */
export interface Field<T> {
  /** How a table of options calls it. */
  readonly label: string;
  readonly parse: (text: string) => Result<T, string>;
}

/** An address to listen on or to connect to; an IPv6 host without its brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const MAX_PORT = 65_535;

/** What is said of a value that is none of that kind, of text or of JSON. */
export const mustBe = {
  whole: (min: number, max: number): string => `must be a whole number from ${String(min)} to ${String(max)}`,
  oneOf: (words: readonly string[]): string => `must be one of ${words.join(', ')}`,
  flag: 'must be true or false',
};

/** A text that matches `pattern` as a whole; `hint` is the whole sentence. */
export function textField(label: string, pattern: RegExp, hint: string): Field<string> {
  return { label, parse: (text) => (pattern.test(text) ? ok(text) : err(hint)) };
}

/** A whole number from `min` to `max`, in digits. */
export function wholeField(min: number, max: number): Field<number> {
  return {
    label: `${String(min)} to ${String(max)}`,
    parse: (text) => {
      const value = Number(text);
      return /^\d{1,15}$/.test(text) && value >= min && value <= max
        ? ok(value)
        : err(mustBe.whole(min, max));
    },
  };
}

/** A span of time from `min` to `max` milliseconds, like `90s`; comes out in milliseconds. */
export function durationField(min: number, max: number): Field<number> {
  const hint = `must be a duration like 500ms, 30s, 5m or 1h, from ${formatDuration(min)} to ${formatDuration(max)}`;
  return {
    label: 'duration',
    parse: (text) => {
      const parsed = parseDuration(text);
      return parsed.ok && parsed.value >= min && parsed.value <= max ? parsed : err(hint);
    },
  };
}

/** One of a few words. */
export function wordField<const T extends string>(...words: readonly T[]): Field<T> {
  return {
    label: words.join(' | '),
    parse: (text) => {
      const found = words.find((word) => word === text);
      return found === undefined ? err(mustBe.oneOf(words)) : ok(found);
    },
  };
}

/** The path of a znode below the root, like `/services`. */
export const znodePathField = textField(
  'znode path',
  /^(\/[A-Za-z0-9._-]+)+$/,
  'must be an absolute znode path like /ebbgate',
);

/** The port of a server. */
export const portField = wholeField(1, MAX_PORT);

/** `host:port` to listen on, an IPv6 host in brackets; port 0 takes a free one. */
export const listenField: Field<HostPort> = {
  label: 'host:port',
  parse: (text) => {
    const found = hostPort(text, 0);
    return found === null ? err('must be host:port like 127.0.0.1:8090 or [::1]:8090') : ok(found);
  },
};

/** `host:port[,host:port…]`, spaces around each ignored. A path behind them is refused: roots are options of their own. */
export const serversField: Field<readonly HostPort[]> = {
  label: 'host:port[,host:port…]',
  parse: (text) => {
    const servers: HostPort[] = [];
    for (const part of text.split(',')) {
      const found = hostPort(part.trim(), 1);
      if (found === null)
        return err('must be host:port, several comma-separated, like 10.0.0.1:2181,10.0.0.2:2181');
      servers.push(found);
    }
    return ok(servers);
  },
};

function hostPort(text: string, minPort: number): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < minPort || port > MAX_PORT ? null : { host, port };
}
