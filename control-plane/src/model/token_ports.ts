import type { TruthStore } from './ports.js';
import type { TokenRecord } from './token.js';

/*
 * The tokens, between the folders.
 */

/** A token as it is in the store. */
export interface StoredToken {
  readonly record: TokenRecord;
  readonly etag: string;
}

/** One token to write; `record` null removes it, `etag` null = it must not exist yet. */
export interface TokenEdit {
  readonly name: string;
  readonly etag: string | null;
  readonly record: TokenRecord | null;
}

/** The tokens. A damaged one is not shown: nobody gets in by what cannot be read. */
export type TokenStore = TruthStore<StoredToken, TokenEdit>;
