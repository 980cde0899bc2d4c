import type { Freeze } from './freeze.js';
import type { Decided, InstanceIntent } from './intent.js';
import type { PlannedChange } from './mutation.js';
import type { Origin } from './origin.js';

/*
 * What is kept of every change that somebody asked for. A record is written in the transaction of its change, and never altered.
 */

/** What a change was, before it has a number. Times are RFC 3339. */
export interface AuditEntry extends Origin {
  readonly at: string;
  /** Who asked, as the client says. */
  readonly by: string;
  /** What was asked for: `drain`, `set_weights`, `start_release`, … */
  readonly verb: string;
  /** What it was asked for, as it was named: a service, an instance, a selector, a gateway, a release, `*`. */
  readonly object: string;
  /** Whose state it changed; at most `MOST_SERVICES`. */
  readonly services: readonly string[];
  /** Before → after; at most `MOST_CHANGES`, `more_changes` says how many more there were. */
  readonly changes: readonly PlannedChange[];
  readonly more_changes: number;
  readonly reason: string;
  /** With it guards were only warnings; what they said. */
  readonly force: boolean;
  readonly overruled: readonly string[];
  /** When what was decided ends by itself; null = never. */
  readonly until: string | null;
  readonly operation: string | null;
  readonly release: string | null;
  readonly idempotency_key: string | null;
  /** The number of the record that it took back. */
  readonly undoes: number | null;
  /** What takes it back; else why nothing does. */
  readonly undo: Undo | NoUndo;
}

/** A record: numbers begin with 1, and none is left out. */
export interface AuditRecord extends AuditEntry {
  readonly n: number;
}

/** Why a record does not say how its change is taken back. */
export type NoUndo =
  | { readonly kind: 'none'; readonly why: string }
  /** It is kept apart, for the newest records only: whoever reads one record by its number gets it. */
  | { readonly kind: 'apart' };

/** What was there before a change, and a digest of what the change made of it: only what is still so can be taken back. */
export interface Was<T> {
  readonly before: T;
  readonly after: string;
}

/** What a change did to one service. Lists, because ids are names that people choose. */
export interface ServiceUndo {
  readonly service: string;
  readonly instances: readonly ({ readonly id: string } & Was<InstanceIntent | null>)[];
  readonly versions: Was<SharesBefore> | null;
  /** By section of the spec; null = it was not given. */
  readonly spec: readonly ({ readonly section: string } & Was<unknown>)[];
  readonly freeze: Was<Freeze | null> | null;
}

/** What was decided of a service's shares. */
export interface SharesBefore {
  readonly versions: Readonly<Record<string, number>>;
  readonly versions_by: Decided | null;
  readonly fallback: string | null;
}

/** What takes a change back. */
export type Undo =
  | { readonly kind: 'services'; readonly services: readonly ServiceUndo[] }
  | ({ readonly kind: 'freeze_all' } & Was<Freeze | null>);

/** How many services, and how many lines of changes, a record names. */
export const MOST_SERVICES = 2_000;
export const MOST_CHANGES = 30;
/** How long a text may be that is made of many: a list of routes, of ids. */
export const MOST_CHARACTERS = 500;
/**
 * A record of more services has no copies: their rings name it, and show it for as long as the ring of all has it. Else one
 * change of a whole host would not fit into one transaction (1 MB).
 */
export const MOST_COPIES = 20;
/** How many lines the copy of a record in the ring of one service has. */
export const MOST_CHANGES_OF_SERVICE = 10;
/** So many bytes of JSON a record may keep to be undone; a mistaken selector over some hundred instances fits. */
export const MOST_UNDO_BYTES = 64_000;

/** How many records are kept: of all at least `all`, in whole pages of `page`; of each service at least `service`; `undo` can be undone. */
export interface AuditBounds {
  readonly all: number;
  readonly page: number;
  readonly service: number;
  readonly undo: number;
}

/** 30 days of 1,000 changes, and a reserve. What undoes a change may be large, and is asked for soon or never. */
export const AUDIT_BOUNDS: AuditBounds = { all: 32_000, page: 100, service: 200, undo: 2_000 };

/** A copy of the truth has the newest of so many numbers: at 1 KB each it is read back in seconds, and kept in Redis beside the rest. */
export const MOST_COPIED = 10_000;

/** The page of a record: `page` numbers, of which the first begins with 0. */
export function pageOf(n: number, { page }: Pick<AuditBounds, 'page'>): number {
  return Math.floor(n / page);
}

/**
 * Of these pages (in order) those that may go. What is left has at least the newest `all` records, however full the newest page
 * is, and at most two pages more.
 */
export function surplusPages(
  pages: readonly number[],
  { all, page }: Pick<AuditBounds, 'all' | 'page'>,
): readonly number[] {
  return pages.slice(0, Math.max(0, pages.length - Math.ceil(all / page) - 1));
}

/** Which records are asked for, newest first; null = whatever it is. */
export interface AuditQuery {
  readonly service: string | null;
  readonly actor: string | null;
  readonly verb: string | null;
  /** Milliseconds of the wall clock: none that is older. */
  readonly since: number | null;
  /** Only those with a smaller number: the cursor of the page before. */
  readonly before: number | null;
  readonly limit: number;
}

/** A part of what was asked for. There may be more although fewer than the limit are in it: a reading looks at a bounded number. */
export interface AuditPage {
  readonly items: readonly AuditRecord[];
  /** The `before` of the next page; null = there is no more. */
  readonly next: number | null;
}

/** True if a record is one of those that are asked for. */
export function isAsked(record: AuditRecord, query: AuditQuery): boolean {
  const { service, actor, verb, since } = query;
  if (actor !== null && record.by !== actor) return false;
  if (verb !== null && record.verb !== verb) return false;
  if (service !== null && !record.services.includes(service)) return false;
  return since === null || Date.parse(record.at) >= since;
}

/** An entry within its bounds. */
export function boundedEntry(entry: AuditEntry): AuditEntry {
  const { object, services, changes, overruled, undo } = entry;
  const left = changes.length - MOST_CHANGES;
  const large = JSON.stringify(undo).length > MOST_UNDO_BYTES;
  return {
    ...entry,
    object: clipped(object),
    overruled: overruled.slice(0, MOST_CHANGES),
    services: services.slice(0, MOST_SERVICES),
    changes: changes
      .slice(0, MOST_CHANGES)
      .map((one) => ({ ...one, from: clipped(one.from), to: clipped(one.to) })),
    more_changes: entry.more_changes + Math.max(0, left),
    undo: large ? { kind: 'none', why: 'it changed too much to be kept for that' } : undo,
  };
}

function clipped(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}

/** True if the rings of its services have copies of it. */
export function isCopied({ services }: Pick<AuditEntry, 'services'>): boolean {
  return services.length <= MOST_COPIES;
}

/** True if both are of one change: a number that was given twice is of two. */
export function isSameRecord(a: AuditRecord, b: AuditRecord): boolean {
  return a.n === b.n && a.at === b.at && a.request_id === b.request_id && a.verb === b.verb && a.by === b.by;
}

/** A record without what takes it back. */
export function withoutUndo(record: AuditRecord): AuditRecord {
  return record.undo.kind === 'none' ? record : { ...record, undo: { kind: 'apart' } };
}

/** Why a record is not undone whose undo is not kept any more. */
export const TOO_OLD: NoUndo = { kind: 'none', why: 'it is too old: that is kept for the newest only' };

/** The copy of a record in the ring of one service: its own lines. */
export function copyFor(service: string, record: AuditRecord): AuditRecord {
  const own = record.changes.filter((one) => one.service === service);
  return {
    ...record,
    services: [service],
    changes: own.slice(0, MOST_CHANGES_OF_SERVICE),
    more_changes: Math.max(0, own.length - MOST_CHANGES_OF_SERVICE),
  };
}

/** A record as the API shows it. */
export interface AuditResource extends Omit<AuditRecord, 'undo'> {
  /** Why it cannot be undone; null = it may be tried. */
  readonly not_undoable: string | null;
}

/** A record without what takes it back. */
export function describeRecord({ undo, ...record }: AuditRecord): AuditResource {
  return { ...record, not_undoable: undo.kind === 'none' ? undo.why : null };
}
