import type { AuditEntry } from './audit.js';
import type { FleetReport, RosterEntry } from './gateway.js';
import type { IntentRecord, StoredIntent } from './intent.js';
import type { RegistryState, RegistryView } from './registration.js';
import type { ServiceEvent } from './resources.js';
import type { Result } from './result.js';
import type { EncodedDocument, PublishedDocument } from './set.js';

/*
 * The contracts between the folders. I/O folders implement them, main.ts hands the implementations in, and neither
 * side knows the other.
 */

export type { Clock, Deadline, Time, Timer } from './clock.js';

/** Anything that lives long: started once, closed once or more; a second close waits for the first. */
export interface Lifecycle extends AsyncDisposable {
  /** Resolves as soon as the work has begun; never waits for a server to be reachable. */
  start(): Promise<void>;
  /** Ends everything it started. Never rejects. */
  close(): Promise<void>;
}

/** How a dependency is, for /readyz and logs. `since` is milliseconds of the wall clock. */
export interface LinkState {
  readonly state: 'connected' | 'connecting' | 'degraded';
  readonly since: number;
  readonly detail: string;
}

/** How old what is shown of the store of the truth may be. */
export interface TruthView {
  /** Monotonic moment at which the store was heard last; null while there is no connection. */
  heardAt(): number | null;
  /** Resolves once all that was written before the call is shown, or after a bounded time. Never rejects. */
  caughtUp(): Promise<void>;
}

/** The wall clocks of the stores, in milliseconds. A failure says why one cannot be read. */
export interface StoreClocks {
  readonly zookeeper: () => Promise<Result<number, string>>;
  readonly redis: () => Promise<Result<number, string>>;
}

/** Fields first, then a short message; pino fits. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/* ---- The registry and the truth --------------------------------------------------------------------------------- */

/**
 * Something read from a store that notices when the store has lost what it had: it goes on showing what it knew, and
 * takes in nothing, until a person has decided.
 */
export interface LossAware<T> {
  /**
   * What was lost, or null. After an acceptance it stays until what is in the store has been read completely.
   */
  loss(): string | null;
  /** What is in the store now is right: read it as if for the first time. Nothing happens without a loss. */
  acceptDataLoss(): void;
  /** Reads what is in the store now past what is shown, and changes nothing. Nothing there is an empty answer. */
  peek(): Promise<Result<T, string>>;
}

/**
 * Pushes complete states of the registry: once as soon as one is known, then at every change, coalesced. After any
 * doubt it re-reads everything and pushes the difference by pushing the whole. It never pushes a partial view, and
 * an `unknown` never takes anything back. Listeners are called one at a time, from one place, and must not throw.
 */
export interface RegistrySource extends Lifecycle, LossAware<RegistryView> {
  onState(listener: (state: RegistryState) => void): void;
}

/** One term of office: every write is conditional on the epoch node's znode version. */
export interface Term {
  readonly epoch: number;
  readonly version: number;
}

export type WriteFailure =
  /** Refused, and certainly not applied: the term is not the present one. `Office.present` says whose the present one is. */
  | { readonly kind: 'fenced' }
  /** The record changed since it was read. */
  | { readonly kind: 'conflict'; readonly name?: string }
  /** No answer, so it may or may not have been applied; read before trying again. */
  | { readonly kind: 'unavailable'; readonly reason: string };

/** The term that is present in the store of the truth, and whether this process took it. */
export interface PresentTerm extends Term {
  readonly ours: boolean;
}

/** The office of the one controller that writes: who took the present term leads. Every `Office` object is a candidate of its own. */
export interface Office {
  /** Takes leadership: raises the epoch above `floor` and above its own last value. */
  take(floor: number): Promise<Result<Term, WriteFailure>>;
  /**
   * Reads the newest term past every cache; null = nobody has ever taken one there. A `take` without an answer may
   * have been applied: then the present term is `ours`, and nobody knew.
   */
  present(): Promise<Result<PresentTerm | null, WriteFailure>>;
  /** True if `term` is the newest one, read past every cache: what is to be known where nothing is written under it. */
  isPresent(term: Term): Promise<Result<boolean, WriteFailure>>;
}

/**
 * One kind of record of the truth, by name: intents, releases, … All stores are used alike, so a loop over a list of them
 * serves each that comes. `Shown` is what is shown of a name, `Edit` one change, `Stored` what `read` finds.
 */
export interface TruthStore<Shown, Edit = never, Stored = Shown>
  extends Lifecycle, LossAware<ReadonlyMap<string, Shown>> {
  /** What its records are called, in the plural; no two stores share it. */
  readonly noun: string;
  /** Shows the complete map once it is known, then at every change. A lost link shows nothing, and takes nothing back. */
  onChange(listener: (shown: ReadonlyMap<string, Shown>) => void): void;
  /**
   * Name → what is wrong with its record, as of the last reading. Its store says what is shown of it; a write to it by what
   * was shown is refused as a conflict.
   */
  damaged(): ReadonlyMap<string, string>;
  /** Where the record of that name is, for people who correct it. */
  pathOf(name: string): string;
  /** Why nothing of the store could be read at the last reading, or null; what was read before stays shown. */
  problem(): { readonly path: string; readonly reason: string } | null;
  /** Reads one record past every cache; null if there is none. A damaged one is a failure. */
  read(name: string): Promise<Result<Stored | null, WriteFailure>>;
  /**
   * Makes all edits or none, in one transaction under the fence of `term`, and shows them before it resolves. Answers the new
   * etag of each edit's record, in their order; null where the record was removed. No edits write nothing. With an `entry`,
   * which every change that somebody asked for has, its record is written in the same transaction.
   */
  write(
    term: Term,
    edits: readonly Edit[],
    entry?: AuditEntry,
  ): Promise<Result<readonly (string | null)[], WriteFailure>>;
}

/** Any of them, where only what is common to all matters. */
export type AnyTruthStore = TruthStore<unknown, never, unknown>;

/** A new record for one service; `etag` null = it must not exist yet. */
export interface IntentEdit {
  readonly service: string;
  readonly etag: string | null;
  /** Null removes it. */
  readonly record: IntentRecord | null;
  /** With it the service's history is written, in the same transaction; its `etag` null = there is none yet, `events` null removes it. */
  readonly history?: { readonly etag: string | null; readonly events: readonly ServiceEvent[] | null };
}

/** What people want of the services. A damaged record stays shown as it was last good, or not at all if it never was. */
export type IntentStore = TruthStore<StoredIntent, IntentEdit>;

/** What people did to one service, oldest first, besides what its record shows. */
export interface StoredHistory {
  readonly events: readonly ServiceEvent[];
  readonly etag: string;
}

/** The histories; written by the edits of intents. A damaged one is not shown, and reads as an empty one with its etag. */
export type HistoryStore = TruthStore<StoredHistory>;

/** An entry to create or replace, whatever is there; null = it goes, and removing what is not there is a success. */
export interface RosterEdit {
  readonly id: string;
  readonly entry: RosterEntry | null;
}

/** The gateways that must be heard before anything is drained. A damaged or refused entry counts: it is shown by its name. */
export type RosterStore = TruthStore<RosterEntry, RosterEdit>;

/** The ephemeral `consumers/<node>` entries of this controller: keeps exactly `services` registered. */
export interface ConsumerRegistration extends Lifecycle {
  follow(services: readonly string[]): void;
  /** Services whose node cannot be written, and why. It is for people and steers nothing. */
  refused(): ReadonlyMap<string, { readonly path: string; readonly reason: string }>;
}

/** What `ebbgate register` writes into its provider node; absent members take the registry's defaults. */
export interface ProviderData {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly backup?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ready?: boolean;
  readonly leaving?: boolean;
}

/**
 * Keeps one provider node as wanted, through lost connections and expired sessions, always under the same identity.
 * `set` replaces what is wanted and resolves once it is written in the registry (or rejects after its signal aborts).
 */
export interface ProviderRegistration extends Lifecycle {
  set(data: ProviderData, signal?: AbortSignal): Promise<void>;
  /** Deletes the node; resolves at once if it is not there. */
  withdraw(signal?: AbortSignal): Promise<void>;
}

/* ---- The published sets, and what gateways report --------------------------------------------------------------- */

export type PublishAnswer =
  | { readonly kind: 'published'; readonly generation: number }
  /** Equal hash within this epoch: nothing was written. */
  | { readonly kind: 'same'; readonly generation: number }
  /** The set is at another generation; `generation` is where (0 = absent), `epoch` whose. */
  | { readonly kind: 'conflict'; readonly generation: number; readonly epoch: number }
  /** What was published went back or was wiped: only a new epoch helps. */
  | { readonly kind: 'lost' }
  /** A higher epoch is open: this controller is not the leader. */
  | { readonly kind: 'fenced'; readonly epoch: number }
  /** No answer in time; may have been applied, and is safe to repeat. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface Meta {
  readonly epoch: number;
  readonly generation: number;
  readonly sealed: boolean;
}

/**
 * Writes sets by the publishing protocol (design: open, publish, seal). Every call is safe to repeat. No call waits
 * for a connection longer than the command timeout.
 */
export type PruneAnswer =
  | { readonly kind: 'pruned' }
  | { readonly kind: 'unsealed' }
  | Extract<PublishAnswer, { kind: 'fenced' | 'lost' | 'unavailable' }>;

export interface Publisher extends Lifecycle {
  state(): LinkState;
  /** Called whenever the server may have changed its data: reconnected, other run_id, other master_replid. */
  onDoubt(listener: (reason: string) => void): void;
  /** Tries to write, and changes nothing: null if the store takes it, else its words. */
  probe(): Promise<string | null>;
  /** The store's own wall clock, in milliseconds. */
  time(): Promise<Result<number, string>>;
  /** Where the published sets are, or null if there is no meta. */
  meta(): Promise<Result<Meta | null, string>>;
  /**
   * Every set above generation `above` (default: every one) that can be parsed; a damaged one is left out (it is published again
   * anyway).
   */
  sets(above?: number): Promise<Result<readonly PublishedDocument[], string>>;
  /** The first of `published` that is not there as it was published, or null. Cheaper than `sets`, which reads them. */
  verify(published: Iterable<PublishedDocument>): Promise<Result<string | null, string>>;
  open(
    epoch: number,
  ): Promise<
    | { readonly kind: 'opened'; readonly generation: number }
    | Extract<PublishAnswer, { kind: 'fenced' | 'unavailable' }>
  >;
  publish(request: {
    readonly epoch: number;
    /** The highest generation this controller has seen; a store below it has lost data. */
    readonly last_generation: number;
    /** The generation that is expected of this set; 0 = absent. */
    readonly expected_generation: number;
    readonly at: string;
    readonly encoded: EncodedDocument;
  }): Promise<PublishAnswer>;
  /**
   * Takes tombstones out that are still as they were published under `epoch`, which must be open and sealed: then absence means removal.
   * One that was published again stays; one that is absent already counts as taken out.
   */
  prune(epoch: number, tombstones: readonly PublishedDocument[]): Promise<PruneAnswer>;
  seal(
    epoch: number,
  ): Promise<
    { readonly kind: 'sealed' } | Extract<PublishAnswer, { kind: 'fenced' | 'lost' | 'unavailable' }>
  >;
}

/** Follows the gateways' heartbeats: by hints, and by reading all of them every second whatever the hints say. */
export interface Feedback extends Lifecycle {
  state(): LinkState;
  /** The present report, again at every change. A lost link takes nothing back: heartbeats just stop changing. */
  onReport(listener: (report: FleetReport) => void): void;
  /** Drops what is remembered of a gateway and the soft state that it wrote; it is heard again if it still beats. */
  forget(id: string): Promise<void>;
  /** Takes every name that was never heard out of the list of gateways. Resolves to how many of those in the report, or to why it could not. */
  forgetNeverHeard(): Promise<Result<number, string>>;
}
