import { err, ok, type Result } from './result.js';

/*
 * A pattern over names: `*` is any run of characters, also none; everything else is itself.
 */

/** Matches every name. */
export const EVERYTHING = '*';
const MOST = 128;
const PATTERN = /^[A-Za-z0-9._*-]+$/;

/** Checks `text` as a pattern over names of services or gateways. */
export function parseGlob(text: string): Result<string, string> {
  if (text.length <= MOST && PATTERN.test(text)) return ok(text);
  return err(`must be 1 to ${String(MOST)} of A-Z a-z 0-9 . _ - and *, like shop or shop-*`);
}

/** True if `name` matches `glob`. Takes at most length × length steps, whatever both are. */
export function matchesGlob(glob: string, name: string): boolean {
  let [at, inName] = [0, 0];
  /** Where the last star is, and where what it matches ends. */
  let [star, taken] = [-1, 0];
  while (inName < name.length) {
    if (glob[at] === '*') {
      [star, taken] = [at, inName];
      at += 1;
    } else if (glob[at] === name[inName]) {
      at += 1;
      inName += 1;
    } else if (star >= 0) {
      taken += 1;
      [at, inName] = [star + 1, taken];
    } else return false;
  }
  while (glob[at] === '*') at += 1;
  return at === glob.length;
}
