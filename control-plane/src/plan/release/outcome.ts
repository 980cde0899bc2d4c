import type { ReleaseRecord, Shares } from '../../model/release.js';

/**
 * What one look comes to: a move, or what it waits for. `write_shares` = the shares that should be in the service's own record
 * by then.
 */
export type Outcome =
  | { readonly moved: ReleaseRecord }
  | { readonly waits: readonly string[]; readonly write_shares?: Shares };
