/*
 * A freeze: a person's word that no release may start and no step may begin, of one service or of all. Going back is never blocked.
 */

/** Times are RFC 3339. */
export interface Freeze {
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** After this moment it is ignored. */
  readonly expires?: string;
}

/** A freeze as the API shows it. */
export interface FreezeResource {
  readonly scope: 'service' | 'all';
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
}
