import type { Freeze } from './freeze.js';
import type { ServiceEvent } from './intent.js';
import type { DamageAware, Lifecycle, LossAware, Term, WriteFailure } from './ports.js';
import type { Result } from './result.js';

/*
 * The freeze of everything, between the folders.
 */

/** The data of `/ebbgate/global/freeze`: the freeze of everything. */
export interface GlobalFreeze {
  /** Schema of this record. */
  readonly v: 1;
  /** Counts changes. */
  readonly rev: number;
  /** Null = not frozen. */
  readonly freeze: Freeze | null;
  /** Newest last, at most 200. */
  readonly events: readonly ServiceEvent[];
}

export const NOT_FROZEN: GlobalFreeze = { v: 1, rev: 0, freeze: null, events: [] };

export interface StoredFreeze {
  readonly record: GlobalFreeze;
  readonly etag: string;
}

/** What is frozen for all services; one entry at most, under the name `freeze`. Pushes as the other stores do. */
export interface FreezeStore extends Lifecycle, DamageAware, LossAware<ReadonlyMap<string, StoredFreeze>> {
  onChange(listener: (shown: ReadonlyMap<string, StoredFreeze>) => void): void;
  /** Under the term's fence; `etag` null = it must not exist yet. */
  write(term: Term, etag: string | null, record: GlobalFreeze): Promise<Result<void, WriteFailure>>;
  /** `freeze` → what is wrong with it: then everything is held up until it is mended. */
  damaged(): ReadonlyMap<string, string>;
  /** Reads it past every cache. */
  read(name: string): Promise<Result<StoredFreeze | null, WriteFailure>>;
}
