import type { ConsumerRecord } from '../../model/api_consumer.js';
import type { ConsumerEdit, StoredConsumer } from '../../model/api_consumer_ports.js';
import type { RosterEntry } from '../../model/gateway.js';
import type { FreezeEdit, GlobalFreeze, StoredFreeze } from '../../model/freeze_ports.js';
import type { IntentRecord, ServiceEvent, StoredIntent } from '../../model/intent.js';
import type { IntentEdit, RosterEdit, StoredHistory } from '../../model/ports.js';
import type { ReleaseRecord, ServiceReleases, StoredRelease } from '../../model/release.js';
import type { ReleaseEdit } from '../../model/release_ports.js';
import type { TokenRecord } from '../../model/token.js';
import type { StoredToken, TokenEdit } from '../../model/token_ports.js';

/*
 * The kinds of records of the truth in memory: how each reads and writes its rows.
 */

/** What one name of a noun has. */
export interface Row {
  readonly value: unknown;
  readonly etag: string;
  /** What is wrong with it, or null. */
  readonly damage: string | null;
}

/** One row to write; `etag` undefined = whatever is there, null = none may be there; `value` null = the row goes. */
export interface Write {
  readonly noun: string;
  readonly name: string;
  readonly etag: string | null | undefined;
  readonly value: unknown;
}

/** How a noun reads and writes its rows. */
export interface Noun<Shown, Edit, Stored> {
  readonly noun: string;
  show(name: string, row: Row, last: Shown | undefined): Shown | null;
  stored(name: string, row: Row): Stored | null;
  /** What `read` answers where the row is damaged; absent: that it is. */
  readonly substitute?: (name: string, row: Row) => Stored;
  writes(edit: Edit, row: (name: string) => Row | undefined): readonly [Write, ...Write[]];
}

export const INTENTS: Noun<StoredIntent, IntentEdit, StoredIntent> = {
  noun: 'intents',
  show: (service, row, last) => (row.damage === null ? INTENTS.stored(service, row) : (last ?? null)),
  stored: (service, { value, etag }) => ({ service, record: value as IntentRecord, etag }),
  writes: ({ service: name, etag, record, history }) => {
    const own: Write = { noun: 'intents', name, etag, value: record };
    return history ? [own, { noun: 'histories', name, etag: history.etag, value: history.events }] : [own];
  },
};

export const HISTORIES: Noun<StoredHistory, never, StoredHistory> = {
  noun: 'histories',
  show: (name, row) => (row.damage === null ? HISTORIES.stored(name, row) : null),
  stored: (_name, { value, etag }) => ({ events: value as readonly ServiceEvent[], etag }),
  substitute: (_name, { etag }) => ({ events: [], etag }),
  writes: () => {
    throw new Error('a history is written with the intent of its service');
  },
};

export const ROSTER: Noun<RosterEntry, RosterEdit, RosterEntry> = {
  noun: 'roster',
  show: (id, row, last) => (row.damage === null ? (row.value as RosterEntry) : (last ?? unread(id))),
  stored: (_id, { value }) => value as RosterEntry,
  substitute: unread,
  writes: ({ id, entry }) => [{ noun: 'roster', name: id, etag: undefined, value: entry }],
};

function unread(id: string): RosterEntry {
  return { id, boot: '', host: '', since: new Date(0).toISOString() };
}

export const FREEZES: Noun<StoredFreeze, FreezeEdit, StoredFreeze> = {
  noun: 'freezes',
  show: (name, row) => (row.damage === null ? FREEZES.stored(name, row) : null),
  stored: (_name, { value, etag }) => ({ record: value as GlobalFreeze, etag }),
  writes: ({ etag, record }) => [{ noun: 'freezes', name: 'freeze', etag, value: record }],
};

export const TOKENS: Noun<StoredToken, TokenEdit, StoredToken> = {
  noun: 'tokens',
  show: (name, row) => (row.damage === null ? TOKENS.stored(name, row) : null),
  stored: (_name, { value, etag }) => ({ record: value as TokenRecord, etag }),
  writes: ({ name, etag, record }) => [{ noun: 'tokens', name, etag, value: record }],
};

export const CONSUMERS: Noun<StoredConsumer, ConsumerEdit, StoredConsumer> = {
  noun: 'consumers',
  show: (name, row, last) => (row.damage === null ? CONSUMERS.stored(name, row) : (last ?? null)),
  stored: (_name, { value, etag }) => ({ record: value as ConsumerRecord, etag }),
  writes: ({ name, etag, record }) => [{ noun: 'consumers', name, etag, value: record }],
};

/** How many ended releases a service keeps. */
const KEPT_HISTORY = 10;

interface Releases {
  readonly current: ReleaseRecord | null;
  readonly history: readonly ReleaseRecord[];
}

function isReleases(value: unknown): value is Releases {
  return typeof value === 'object' && value !== null && 'current' in value && 'history' in value;
}

export const RELEASES: Noun<ServiceReleases, ReleaseEdit, StoredRelease> = {
  noun: 'releases',
  show: (service, row, last) => {
    if (!isReleases(row.value)) return last ?? null;
    const { history } = row.value;
    return { current: RELEASES.stored(service, row), history, last_n: history.at(-1)?.n ?? 0 };
  },
  stored: (service, { value, etag }) =>
    isReleases(value) && value.current ? { service, record: value.current, etag } : null,
  writes: ({ service: name, etag, current, archive, forget }, row) => {
    if (forget) return [{ noun: 'releases', name, etag, value: null }];
    const before = row(name)?.value;
    const known = isReleases(before) ? before.history : [];
    const history = archive ? [...known, archive].slice(-KEPT_HISTORY) : known;
    return [{ noun: 'releases', name, etag, value: { current, history } satisfies Releases }];
  },
};

/** A service whose releases have all ended has no record that a write could name. */
export function presentEtag(row: Row | undefined): string | null {
  if (row === undefined) return null;
  const { value, etag } = row;
  return isReleases(value) && value.current === null ? null : etag;
}
