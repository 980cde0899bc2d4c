import { isIP } from 'node:net';
import { portField, wholeField } from '../model/field.js';
import { err, ok, type Result } from '../model/result.js';

/** Where a Redis listens and who we are to it. */
export interface RedisAddress {
  /** A host name or an IP literal without brackets. */
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
}

const databaseField = wholeField(0, 1_000_000);
const FORM = 'redis://[[user]:password@]host[:port][/database]';
/** Scheme, then optional credentials up to the last @, then host and port, then an optional database. */
const PARTS = /^redis:\/\/(?:([^/?#]*)@)?(\[[^\]/]*\]|[^:/?#[\]@]*)(?::([^/?#@]*))?(?:\/([^?#]*))?$/;
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/;

/**
 * Reads `redis://[[user]:password@]host[:port][/database]`; port 6379 and database 0 are the defaults. Credentials
 * are percent-decoded. A failure is one sentence that says how to correct it and never repeats the password.
 */
export function parseRedisUrl(url: string): Result<RedisAddress, string> {
  if (!url.startsWith('redis://')) return err(`the Redis URL must look like ${FORM} (TLS is not supported)`);
  const parts = PARTS.exec(url);
  if (parts === null)
    return err(`the Redis URL must look like ${FORM}; write / ? # @ : in a password percent-encoded`);
  const [, credentials, rawHost = '', rawPort, rawDatabase] = parts;
  const host = parseHost(rawHost);
  if (host === null) return err(`the Redis URL's host must be a host name or an IP address: ${FORM}`);
  const port = portField.parse(rawPort ?? '6379');
  if (!port.ok) return err(`the Redis URL's port ${port.error}: ${FORM}`);
  const database = databaseField.parse(rawDatabase === undefined || rawDatabase === '' ? '0' : rawDatabase);
  if (!database.ok) return err(`the Redis URL's database ${database.error}: ${FORM}`);
  const login = parseCredentials(credentials);
  if (!login.ok) return login;
  return ok({ host, port: port.value, ...login.value, database: database.value });
}

/** The address for logs and messages, without the credentials. */
export function describeAddress(address: RedisAddress): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `redis://${host}:${String(address.port)}/${String(address.database)}`;
}

function parseHost(text: string): string | null {
  if (!text.startsWith('[')) return HOST_NAME.test(text) ? text : null;
  const inner = text.slice(1, -1);
  return isIP(inner) === 6 ? inner : null;
}

function parseCredentials(
  text: string | undefined,
): Result<{ readonly username: string | null; readonly password: string | null }, string> {
  if (text === undefined) return ok({ username: null, password: null });
  const colon = text.indexOf(':');
  if (colon < 0) return err(`the Redis URL has a user but no password: ${FORM}`);
  try {
    const username = decodeURIComponent(text.slice(0, colon));
    const password = decodeURIComponent(text.slice(colon + 1));
    if (password === '') return err(`the Redis URL has an empty password; leave out everything up to the @`);
    return ok({ username: username === '' ? null : username, password });
  } catch {
    return err("the Redis URL's user and password must be percent-encoded: write % as %25");
  }
}
