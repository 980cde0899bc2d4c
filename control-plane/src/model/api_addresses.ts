import { err, ok, type Result } from './result.js';

/*
 * Where the control API is: one address for each controller. Any of them answers everything, so whoever asks goes on at the next
 * one while the first does not answer.
 */

/** Where a controller listens unless its configuration says otherwise. */
export const DEFAULT_API = 'http://127.0.0.1:8090';

/** `http://host:port[,…]`, at least one, without a path. A failure says how it must look. */
export function parseApiAddresses(text: string): Result<readonly string[], string> {
  const addresses = text.split(',').map((part) => part.trim().replace(/\/+$/, ''));
  const bad = addresses.find((one) => !/^https?:\/\/[^/?#\s]+$/.test(one) || !URL.canParse(one));
  if (bad === undefined) return ok([...new Set(addresses)]);
  return err(`must be a URL like ${DEFAULT_API}, or several with commas (got ${JSON.stringify(text)})`);
}

/** All `addresses`, the one at `first` first. */
export function inTurn(addresses: readonly string[], first: number): readonly string[] {
  return [...addresses.slice(first), ...addresses.slice(0, first)];
}
