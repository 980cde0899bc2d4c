import type { RosterEntry } from '../../model/gateway.js';
import type { FreezeEdit, FreezeStore, GlobalFreeze, StoredFreeze } from '../../model/freeze_ports.js';
import type { IntentRecord, ServiceEvent, StoredIntent } from '../../model/intent.js';
import type {
  HistoryStore,
  IntentEdit,
  IntentStore,
  Office,
  PresentTerm,
  RosterEdit,
  RosterStore,
  StoredHistory,
  Term,
  TruthStore,
  WriteFailure,
} from '../../model/ports.js';
import type { ReleaseRecord, ServiceReleases, StoredRelease } from '../../model/release.js';
import type { ReleaseEdit, ReleaseStore } from '../../model/release_ports.js';
import { err, ok, type Result } from '../../model/result.js';

/** What one name of a noun has. */
interface Row {
  readonly value: unknown;
  readonly etag: string;
  /** What is wrong with it, or null. */
  readonly damage: string | null;
}

/** One row to write; `etag` undefined = whatever is there, null = none may be there; `value` null = the row goes. */
interface Write {
  readonly noun: string;
  readonly name: string;
  readonly etag: string | null | undefined;
  readonly value: unknown;
}

/** How a noun reads and writes its rows. */
interface Noun<Shown, Edit, Stored> {
  readonly noun: string;
  show(name: string, row: Row, last: Shown | undefined): Shown | null;
  stored(name: string, row: Row): Stored | null;
  /** What `read` answers where the row is damaged; absent: that it is. */
  readonly substitute?: (name: string, row: Row) => Stored;
  writes(edit: Edit, row: (name: string) => Row | undefined): readonly [Write, ...Write[]];
}

/**
 * The store of the truth in memory: what every controller that opens stores of it shares. It fences, refuses, loses and
 * damages as the real one does, at once and in the order of the calls.
 */
export class MemoryTruth {
  /** While it is not null, every read and write is unavailable for this reason, and nothing is applied. */
  away: string | null = null;
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #stores = new Set<MemoryStore<unknown, never, unknown>>();
  #term: (Term & { readonly owner: string }) | null = null;
  #writes = 0;

  office(owner: string): Office {
    return {
      take: (floor) => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        const epoch = Math.max((this.#term?.epoch ?? 0) + 1, floor);
        this.#term = { epoch, version: (this.#term?.version ?? 0) + 1, owner };
        return Promise.resolve(ok({ epoch, version: this.#term.version }));
      },
      present: (): Promise<Result<PresentTerm | null, WriteFailure>> => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        if (this.#term === null) return Promise.resolve(ok(null));
        const { owner: present, ...term } = this.#term;
        return Promise.resolve(ok({ ...term, ours: present === owner }));
      },
      isPresent: ({ epoch, version }) => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        return Promise.resolve(ok(this.#term?.epoch === epoch && this.#term.version === version));
      },
    };
  }

  intents(): IntentStore {
    return this.#open(INTENTS);
  }
  histories(): HistoryStore {
    return this.#open(HISTORIES);
  }
  roster(): RosterStore {
    return this.#open(ROSTER);
  }
  freezes(): FreezeStore {
    return this.#open(FREEZES);
  }
  releases(): ReleaseStore {
    return this.#open(RELEASES);
  }

  /** Somebody writes nonsense into a record. */
  damage(noun: string, name: string): void {
    this.#put(noun, name, { value: null, etag: this.#newEtag(), damage: 'not JSON' });
    this.#changed(noun);
  }

  /** Everything in it is gone, as after the loss of its disk; terms go on. */
  wipe(): void {
    this.#rows.clear();
    for (const store of this.#stores) store.lose('the store of the truth was created anew');
  }

  rowsOf(noun: string): ReadonlyMap<string, Row> {
    return this.#rows.get(noun) ?? new Map();
  }

  /** Makes all writes or none. */
  commit(term: Term, writes: readonly Write[]): Result<ReadonlyMap<Write, string | null>, WriteFailure> {
    if (this.away !== null) return err({ kind: 'unavailable', reason: this.away });
    if (this.#term?.version !== term.version) return err({ kind: 'fenced' });
    const refused = writes.find(({ noun, name, etag }) => {
      const row = this.rowsOf(noun).get(name);
      return etag !== undefined && etag !== presentEtag(row);
    });
    if (refused) return err({ kind: 'conflict', name: refused.name });
    const etags = new Map<Write, string | null>();
    for (const write of writes) {
      if (write.value === null) this.#rows.get(write.noun)?.delete(write.name);
      else this.#put(write.noun, write.name, { value: write.value, etag: this.#newEtag(), damage: null });
      etags.set(write, presentEtag(this.rowsOf(write.noun).get(write.name)));
    }
    for (const noun of new Set(writes.map((write) => write.noun))) this.#changed(noun);
    return ok(etags);
  }

  #open<Shown, Edit, Stored>(noun: Noun<Shown, Edit, Stored>): TruthStore<Shown, Edit, Stored> {
    const store = new MemoryStore(this, noun, () => this.#stores.delete(store as never));
    this.#stores.add(store as never);
    return store;
  }

  #put(noun: string, name: string, row: Row): void {
    const rows = this.#rows.get(noun) ?? new Map<string, Row>();
    this.#rows.set(noun, rows.set(name, row));
  }

  #changed(noun: string): void {
    for (const store of this.#stores) if (store.noun === noun) store.look();
  }

  #newEtag(): string {
    this.#writes += 1;
    return `m-${String(this.#writes)}`;
  }
}

/** A service whose releases have all ended has no record that a write could name. */
function presentEtag(row: Row | undefined): string | null {
  if (row === undefined) return null;
  const { value, etag } = row;
  return isReleases(value) && value.current === null ? null : etag;
}

class MemoryStore<Shown, Edit, Stored> implements TruthStore<Shown, Edit, Stored> {
  readonly noun: string;
  readonly #truth: MemoryTruth;
  readonly #how: Noun<Shown, Edit, Stored>;
  readonly #forget: () => void;
  readonly #listeners: ((shown: ReadonlyMap<string, Shown>) => void)[] = [];
  readonly #decoded = new Map<Row, Shown>();
  #shown: ReadonlyMap<string, Shown> = new Map();
  #damaged: ReadonlyMap<string, string> = new Map();
  #loss: string | null = null;
  #started = false;

  constructor(truth: MemoryTruth, how: Noun<Shown, Edit, Stored>, forget: () => void) {
    this.noun = how.noun;
    this.#truth = truth;
    this.#how = how;
    this.#forget = forget;
  }

  start(): Promise<void> {
    this.#started = true;
    this.look();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#started = false;
    this.#forget();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  onChange(listener: (shown: ReadonlyMap<string, Shown>) => void): void {
    this.#listeners.push(listener);
  }
  damaged(): ReadonlyMap<string, string> {
    return this.#damaged;
  }
  pathOf(name: string): string {
    return `/memory/${this.noun}/${name}`;
  }
  problem(): null {
    return null;
  }
  loss(): string | null {
    return this.#loss;
  }
  acceptDataLoss(): void {
    if (this.#loss === null) return;
    this.#loss = null;
    this.#shown = new Map();
    this.look();
  }
  peek(): Promise<Result<ReadonlyMap<string, Shown>, string>> {
    const { away } = this.#truth;
    return Promise.resolve(away === null ? ok(this.#read(new Map()).shown) : err(away));
  }

  read(name: string): Promise<Result<Stored | null, WriteFailure>> {
    const { away } = this.#truth;
    if (away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: away }));
    const row = this.#truth.rowsOf(this.noun).get(name);
    if (row === undefined) return Promise.resolve(ok(null));
    if (row.damage === null) return Promise.resolve(ok(this.#how.stored(name, row)));
    if (this.#how.substitute) return Promise.resolve(ok(this.#how.substitute(name, row)));
    const reason = `the record at ${this.pathOf(name)} is damaged: ${row.damage}`;
    return Promise.resolve(err({ kind: 'unavailable', reason }));
  }

  write(term: Term, edits: readonly Edit[]): Promise<Result<readonly (string | null)[], WriteFailure>> {
    const rows = this.#truth.rowsOf(this.noun);
    const writes = edits.map((edit) => this.#how.writes(edit, (name) => rows.get(name)));
    const done = this.#truth.commit(term, writes.flat());
    return Promise.resolve(done.ok ? ok(writes.map(([own]) => done.value.get(own) ?? null)) : done);
  }

  lose(reason: string): void {
    if (this.#started) this.#loss ??= reason;
  }

  /** Takes in what is there now, unless it has lost something. */
  look(): void {
    if (!this.#started || this.#loss !== null) return;
    const { shown, damaged } = this.#read(this.#shown);
    this.#damaged = damaged;
    this.#shown = shown;
    for (const listener of this.#listeners) listener(shown);
  }

  #read(last: ReadonlyMap<string, Shown>) {
    const shown = new Map<string, Shown>();
    const damaged = new Map<string, string>();
    for (const [name, row] of this.#truth.rowsOf(this.noun)) {
      const one = this.#decoded.get(row) ?? this.#how.show(name, row, last.get(name));
      if (row.damage !== null) damaged.set(name, row.damage);
      if (one === null) continue;
      if (row.damage === null) this.#decoded.set(row, one);
      shown.set(name, one);
    }
    return { shown, damaged };
  }
}

const INTENTS: Noun<StoredIntent, IntentEdit, StoredIntent> = {
  noun: 'intents',
  show: (service, row, last) => (row.damage === null ? INTENTS.stored(service, row) : (last ?? null)),
  stored: (service, { value, etag }) => ({ service, record: value as IntentRecord, etag }),
  writes: ({ service: name, etag, record, history }) => {
    const own: Write = { noun: 'intents', name, etag, value: record };
    return history ? [own, { noun: 'histories', name, etag: history.etag, value: history.events }] : [own];
  },
};

const HISTORIES: Noun<StoredHistory, never, StoredHistory> = {
  noun: 'histories',
  show: (name, row) => (row.damage === null ? HISTORIES.stored(name, row) : null),
  stored: (_name, { value, etag }) => ({ events: value as readonly ServiceEvent[], etag }),
  substitute: (_name, { etag }) => ({ events: [], etag }),
  writes: () => {
    throw new Error('a history is written with the intent of its service');
  },
};

const ROSTER: Noun<RosterEntry, RosterEdit, RosterEntry> = {
  noun: 'roster',
  show: (id, row, last) => (row.damage === null ? (row.value as RosterEntry) : (last ?? unread(id))),
  stored: (_id, { value }) => value as RosterEntry,
  substitute: unread,
  writes: ({ id, entry }) => [{ noun: 'roster', name: id, etag: undefined, value: entry }],
};

function unread(id: string): RosterEntry {
  return { id, boot: '', host: '', since: new Date(0).toISOString() };
}

const FREEZES: Noun<StoredFreeze, FreezeEdit, StoredFreeze> = {
  noun: 'freezes',
  show: (name, row) => (row.damage === null ? FREEZES.stored(name, row) : null),
  stored: (_name, { value, etag }) => ({ record: value as GlobalFreeze, etag }),
  writes: ({ etag, record }) => [{ noun: 'freezes', name: 'freeze', etag, value: record }],
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

const RELEASES: Noun<ServiceReleases, ReleaseEdit, StoredRelease> = {
  noun: 'releases',
  show: (service, row, last) => {
    if (!isReleases(row.value)) return last ?? null;
    const { history } = row.value;
    return { current: RELEASES.stored(service, row), history, last_n: history.at(-1)?.n ?? 0 };
  },
  stored: (service, { value, etag }) =>
    isReleases(value) && value.current ? { service, record: value.current, etag } : null,
  writes: ({ service: name, etag, current, archive }, row) => {
    const before = row(name)?.value;
    const known = isReleases(before) ? before.history : [];
    const history = archive ? [...known, archive].slice(-KEPT_HISTORY) : known;
    return [{ noun: 'releases', name, etag, value: { current, history } satisfies Releases }];
  },
};
