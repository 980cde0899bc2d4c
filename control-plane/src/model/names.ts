import { err, ok, type Result } from './result.js';
import { spellCharacter } from './texts.js';

/** A name that did not pass, with its field and how to correct it. */
export interface BadName {
  readonly field: string;
  readonly message: string;
}

interface NameRule {
  readonly pattern: RegExp;
  /** One character that no such name contains. */
  readonly stranger: RegExp;
  readonly hint: string;
}

/**
 * What each kind of name may look like. All of them travel through znode paths, Redis keys, file names and log
 * lines, so none may contain a slash, a pipe, white space or a control character; none but `@routes` starts with `@`.
 */
const RULES = {
  service: {
    pattern: /^[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?$/,
    stranger: /[^a-z0-9._-]/u,
    hint: '1 to 128 of a-z 0-9 . _ -, starting and ending with a letter or digit',
  },
  instance: {
    pattern: /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]{0,126}$/,
    stranger: /[^A-Za-z0-9._:[\]-]/u,
    hint: '1 to 127 of A-Z a-z 0-9 . _ : [ ] -, starting with a letter, a digit or [',
  },
  version: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/,
    stranger: /[^A-Za-z0-9._+-]/u,
    hint: '1 to 64 of A-Z a-z 0-9 . _ + -, starting with a letter or digit',
  },
  gateway: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    stranger: /[^A-Za-z0-9._-]/u,
    hint: '1 to 63 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
  },
  zone: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    stranger: /[^A-Za-z0-9._-]/u,
    hint: '1 to 63 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
  },
  /** Who acts: a person, a team's bot, a job of a build server. */
  actor: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@+:/-]{0,127}$/,
    stranger: /[^A-Za-z0-9._@+:/-]/u,
    hint: '1 to 128 of A-Z a-z 0-9 . _ @ + : / -, starting with a letter or digit',
  },
} satisfies Record<string, NameRule>;

export type NameKind = keyof typeof RULES;

/** What events call the controller itself, the registry and the gateways; nobody else may take these names. */
export const RESERVED_ACTORS: readonly string[] = ['controller', 'registry', 'gateways'];

/** Checks `value` as a name of `kind`; a failure names `field`, says what is allowed, and which character is not. */
export function checkName(kind: NameKind, value: unknown, field: string = kind): Result<string, BadName> {
  const rule = RULES[kind];
  if (typeof value === 'string' && rule.pattern.test(value)) return ok(value);
  const stranger = typeof value === 'string' ? rule.stranger.exec(value)?.[0] : undefined;
  const contains = stranger === undefined ? '' : `; it contains ${spellCharacter(stranger)}`;
  return err({ field, message: `${field} must be ${rule.hint}${contains}` });
}

/** The service name under which the routes document is published. */
export const ROUTES = '@routes';

/** The identity of an instance that names none: its address. IPv6 hosts are bracketed. */
export function addressId(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}
