import type { CopyPlaceName } from './copy_places.js';
import type { GlobalFreeze } from './freeze_ports.js';
import type { RosterEntry } from './gateway.js';
import type { IntentRecord, ServiceEvent } from './intent.js';
import type { Lifecycle } from './ports.js';
import type { ReleaseRecord } from './release.js';
import type { Result } from './result.js';

/*
 * The copy of the truth: what ZooKeeper contains and nobody could work out again, kept where ZooKeeper is not.
 */

/** All that is copied. Registrations are not: instances register again. */
export interface TruthRecords {
  readonly intents: ReadonlyMap<string, IntentRecord>;
  readonly histories: ReadonlyMap<string, readonly ServiceEvent[]>;
  readonly roster: ReadonlyMap<string, RosterEntry>;
  /** Of those that run. */
  readonly releases: ReadonlyMap<string, ReleaseRecord>;
  readonly ended: readonly ReleaseRecord[];
  readonly freeze: GlobalFreeze | null;
}

/** One record by its name, like `intents/shop`: the store, and the place in it. `value` is JSON. */
export interface CopyRecord {
  readonly record: string;
  readonly value: string;
}

/** What a document has besides its records. */
export interface CopyHead {
  /** Under which the copy was taken; 0 = under none. */
  readonly epoch: number;
  /** RFC 3339. */
  readonly at: string;
}

/** A record that is not part of what was read, and why. */
export interface SkippedRecord {
  readonly record: string;
  readonly reason: string;
}

/** A copy that was read. */
export interface ReadCopy extends CopyHead {
  readonly records: TruthRecords;
  readonly skipped: readonly SkippedRecord[];
}

/** The records as JSON and back; whoever stores them knows their shapes. */
export interface RecordCodec {
  /** In order of their names. The value of a record that did not change is not made again. */
  encode(records: TruthRecords): readonly CopyRecord[];
  /** What cannot be read is left out, and named. */
  decode(records: readonly { readonly record: string; readonly value: unknown }[]): {
    readonly records: TruthRecords;
    readonly skipped: readonly SkippedRecord[];
  };
}

/** A copy as one text, as it is kept. */
export interface KeptCopy extends CopyHead {
  readonly records: readonly CopyRecord[];
}

/**
 * Keeps the newest copy and the one before it. The newest is replaced as a whole or not at all, whenever the process or the
 * server ends.
 */
export interface CopyPlace extends Lifecycle {
  readonly place: CopyPlaceName;
  /** For people. */
  readonly spelled: string;
  /** The epoch of the newest copy, without reading the rest of it where that can be; null = there is none, or none with an epoch. */
  epoch(): Promise<Result<number | null, string>>;
  /** The document of the newest copy, or of the one before it; null = there is none. */
  read(which: 'newest' | 'previous'): Promise<Result<string | null, string>>;
  /** Replaces the newest. `keep` = what it was becomes the previous one. One of a higher epoch is not replaced: that is a failure. */
  replace(copy: KeptCopy, keep: boolean): Promise<Result<null, string>>;
}
