import { isKeysName } from './key_documents.js';
import { err, ok, type Result } from './result.js';
import { spellCharacter } from './texts.js';

/** A name that did not pass, with its field and how to correct it. */
export interface BadName {
  readonly field: string;
  readonly message: string;
}

interface NameRule {
  /** At most so many characters. */
  readonly most: number;
  readonly pattern: RegExp;
  /** One character that no such name contains. */
  readonly stranger: RegExp;
  readonly hint: string;
}

/**
 * What each kind of name may look like. All of them travel through znode paths, Redis keys, file names and log
 * lines, so none may contain a slash, a pipe, white space or a control character; none but `@routes` and `@keys…` starts with `@`.
 */
const RULES = {
  service: {
    most: 128,
    pattern: /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/,
    stranger: /[^a-z0-9._-]/u,
    hint: 'a-z 0-9 . _ -, starting and ending with a letter or digit',
  },
  instance: {
    most: 127,
    pattern: /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]*$/,
    stranger: /[^A-Za-z0-9._:[\]-]/u,
    hint: 'A-Z a-z 0-9 . _ : [ ] -, starting with a letter, a digit or [',
  },
  version: {
    most: 64,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._+-]*$/,
    stranger: /[^A-Za-z0-9._+-]/u,
    hint: 'A-Z a-z 0-9 . _ + -, starting with a letter or digit',
  },
  gateway: {
    most: 63,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    stranger: /[^A-Za-z0-9._-]/u,
    hint: 'A-Z a-z 0-9 . _ -, starting with a letter or digit',
  },
  zone: {
    most: 63,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    stranger: /[^A-Za-z0-9._-]/u,
    hint: 'A-Z a-z 0-9 . _ -, starting with a letter or digit',
  },
  /** A token: what records call whoever presents it, so it is a znode's name and the beginning of an actor. */
  token: {
    most: 63,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@+-]*$/,
    stranger: /[^A-Za-z0-9._@+-]/u,
    hint: 'A-Z a-z 0-9 . _ @ + -, starting with a letter or digit',
  },
  /** A consumer: instances and logs read it. */
  consumer: {
    most: 63,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@+-]*$/,
    stranger: /[^A-Za-z0-9._@+-]/u,
    hint: 'A-Z a-z 0-9 . _ @ + -, starting with a letter or digit',
  },
  /** Who acts: a person, a team's bot, a job of a build server. */
  actor: {
    most: 128,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@+:/-]*$/,
    stranger: /[^A-Za-z0-9._@+:/-]/u,
    hint: 'A-Z a-z 0-9 . _ @ + : / -, starting with a letter or digit',
  },
} satisfies Record<string, NameRule>;

export type NameKind = keyof typeof RULES;

/** The longest name of each kind, in characters. */
export const LONGEST_NAME = Object.fromEntries(
  Object.entries(RULES).map(([kind, { most }]) => [kind, most]),
) as Readonly<Record<NameKind, number>>;

/** What events call the controller itself, the registry and the gateways; nobody else may take these names. */
export const RESERVED_ACTORS: readonly string[] = ['controller', 'registry', 'gateways'];

/** The name of the token in EBBGATE_TOKEN, and of whoever asks where no token is needed; no other token may take them. */
export const STATIC_TOKEN = 'static';
export const NO_TOKEN = 'local';

/** What records call who acts by a token: its name, and on whose behalf where that is somebody else. */
export function actorOf(token: string, behalf: string | null): string {
  return behalf === null || behalf === token ? token : `${token} for ${behalf}`;
}

/** Checks `value` as a name of `kind`; a failure names `field`, says what is allowed, and which character is not. */
export function checkName(kind: NameKind, value: unknown, field: string = kind): Result<string, BadName> {
  const rule = RULES[kind];
  if (typeof value === 'string' && value.length <= rule.most && rule.pattern.test(value)) return ok(value);
  const stranger = typeof value === 'string' ? rule.stranger.exec(value)?.[0] : undefined;
  const contains = stranger === undefined ? '' : `; it contains ${spellCharacter(stranger)}`;
  return err({ field, message: `${field} must be 1 to ${String(rule.most)} of ${rule.hint}${contains}` });
}

/** The service name under which the routes document is published. */
export const ROUTES = '@routes';

/** True if something is published under this name: a service, the routes, or keys. */
export function isPublishedName(name: string): boolean {
  return name === ROUTES || isKeysName(name) || checkName('service', name).ok;
}

/** The identity of an instance that names none: its address. IPv6 hosts are bracketed. */
export function addressId(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}
