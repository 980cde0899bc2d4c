import type { Freeze } from './freeze.js';
import type { ServiceEvent } from './intent.js';
import type { TruthStore } from './ports.js';

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

/** A new record of what is frozen for all services; `etag` null = it must not exist yet. */
export interface FreezeEdit {
  readonly etag: string | null;
  readonly record: GlobalFreeze;
}

/**
 * What is frozen for all services; one entry at most, under the name `freeze`. A damaged one is not shown, and blocks
 * every release until it is mended.
 */
export type FreezeStore = TruthStore<StoredFreeze, FreezeEdit>;
