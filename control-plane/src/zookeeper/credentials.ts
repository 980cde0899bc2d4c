import { createHash } from 'node:crypto';
import { err, ok, type Result } from '../model/result.js';

/** A user of ZooKeeper's scheme `digest`. The password is never logged, and is in no message. */
export interface Credential {
  readonly user: string;
  readonly password: string;
}

const LINE = /^digest:([^:\s]+):(\S+)$/;

/**
 * The users in the text of a file, one `digest:user:password` a line; empty lines and those that begin with `#` are skipped. A failure
 * names the line and nothing of what is in it.
 */
export function parseCredentials(text: string): Result<readonly Credential[], string> {
  const found: Credential[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [, user, password] = LINE.exec(trimmed) ?? [];
    if (user === undefined || password === undefined)
      return err(`line ${String(index + 1)} must be digest:user:password, without spaces`);
    found.push({ user, password });
  }
  return found.length === 0 ? err('it has no line digest:user:password') : ok(found);
}

/** The id by which ZooKeeper knows the user in an ACL: `user:` and base64(SHA-1("user:password")), as its server computes it. */
export function digestId({ user, password }: Credential): string {
  const hash = createHash('sha1').update(`${user}:${password}`, 'utf8').digest('base64');
  return `${user}:${hash}`;
}

/** What of `now` is not in `before`. */
export function addedCredentials(
  before: readonly Credential[],
  now: readonly Credential[],
): readonly Credential[] {
  return now.filter((one) => !before.some((old) => sameCredential(old, one)));
}

/** True if both have the same users with the same passwords, in any order. */
export function sameCredentials(one: readonly Credential[], other: readonly Credential[]): boolean {
  return addedCredentials(one, other).length === 0 && addedCredentials(other, one).length === 0;
}

function sameCredential(one: Credential, other: Credential): boolean {
  return one.user === other.user && one.password === other.password;
}
