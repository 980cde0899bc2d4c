import type { ConsumerRecord } from './api_consumer.js';
import type { AuditRecord } from './audit.js';
import type { CopyPlaceName } from './copy_places.js';
import type { GlobalFreeze } from './freeze_ports.js';
import type { RosterEntry } from './gateway.js';
import type { IntentRecord, ServiceEvent } from './intent.js';
import type { Lifecycle } from './ports.js';
import type { ReleaseRecord } from './release.js';
import type { Result } from './result.js';
import type { TokenRecord } from './token.js';

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
  /** By name, with what proves their secrets; null = the tokens are not part of it. */
  readonly tokens: ReadonlyMap<string, TokenRecord> | null;
  /** By name, with the hashes of their keys; null = the document has none, as one of before there were consumers. */
  readonly consumers: ReadonlyMap<string, ConsumerRecord> | null;
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
  /** True if the tokens are part of it, though there may be none. */
  readonly tokens: boolean;
}

/** A record of the audit as it is copied: JSON. */
export interface CopiedRecord {
  readonly n: number;
  readonly text: string;
}

/** A record that is not part of what was read, and why. */
export interface SkippedRecord {
  readonly record: string;
  readonly reason: string;
}

/** A copy that was read. */
export interface ReadCopy extends CopyHead {
  readonly records: TruthRecords;
  /** Oldest first, each number once; without what undoes them. */
  readonly audit: readonly AuditRecord[];
  readonly skipped: readonly SkippedRecord[];
}

/** The records as JSON and back; whoever stores them knows their shapes. */
export interface RecordCodec {
  /** In order of their names. The value of a record that did not change is not made again. */
  encode(records: TruthRecords): readonly CopyRecord[];
  /** What cannot be read is left out, and named. */
  decode(document: {
    readonly records: readonly { readonly record: string; readonly value: unknown }[];
    readonly tokens: boolean;
    readonly audit: readonly unknown[];
  }): Pick<ReadCopy, 'records' | 'audit' | 'skipped'>;
  encodeAudit(record: AuditRecord): CopiedRecord;
}

/** A copy as it is kept, without the audit. */
export interface KeptCopy extends CopyHead {
  readonly records: readonly CopyRecord[];
}

/**
 * The audit of a place, which the newest copy and the one before it have in common: a record is added once and never written again,
 * so that a copy costs what was added since.
 */
export interface CopiedAudit {
  /** The record with the greatest number; null = there is none. */
  newest(): Promise<Result<CopiedRecord | null, string>>;
  /** The texts of all, oldest first. One that was cut off while it was written is not among them. */
  read(): Promise<Result<readonly string[], string>>;
  /**
   * Adds records behind `after`, the greatest number that is there (0 = none), oldest first; a failure may have added the first of them. Of
   * the oldest those go whose number is `MOST_COPIED` or more below the greatest, in bounded parts. `conflict` = another number is the greatest. A copy of a higher epoch is a failure.
   */
  append(
    epoch: number,
    after: number,
    records: readonly CopiedRecord[],
  ): Promise<Result<'done' | 'conflict', string>>;
  /** Removes all. A copy of a higher epoch is a failure. */
  clear(epoch: number): Promise<Result<null, string>>;
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
  readonly audit: CopiedAudit;
  /** The document of the newest copy, or of the one before it, without the audit; null = there is none. */
  read(which: 'newest' | 'previous'): Promise<Result<string | null, string>>;
  /** Replaces the newest. `keep` = what it was becomes the previous one. One of a higher epoch is not replaced: that is a failure. */
  replace(copy: KeptCopy, keep: boolean): Promise<Result<null, string>>;
}
