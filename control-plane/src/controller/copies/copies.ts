import { MOST_COPIED } from '../../model/audit.js';
import type { Clock, Lifecycle, Log, Term, Timer } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { CopyPlaceName } from '../../model/copy_places.js';
import type { CopyPlace, KeptCopy, ReadCopy, RecordCodec, TruthRecords } from '../../model/truth_copy.js';
import {
  encodeWhole,
  newestWithin,
  parseCopy,
  parseCopyText,
  recordIn,
  type ParsedCopy,
} from '../../plan/copy_document.js';
import { remembered } from '../../plan/incremental.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Leadership } from '../office/leadership.js';
import type { Publication } from '../office/publication.js';
import { AuditCopy, type AuditCopyDeps } from './audit_copy.js';

/** How often it is asked whether anything has changed. */
const EVERY_MS = 5_000;
/** So old the previous copy becomes, before the newest takes its place. */
const KEPT_MS = 24 * 3_600_000;
/** Characters of the audit in a document: an import takes 64 MiB. Records of usual changes fill a quarter of it. */
const MOST_EXPORTED = 36_000_000;
/** Parts of the audit that a planned stop waits for. */
const MOST_PARTS_AT_STOP = 4;

export interface CopiesDeps {
  readonly places: readonly CopyPlace[];
  readonly codec: RecordCodec;
  readonly audit: AuditCopyDeps['audit'];
  readonly inputs: Pick<
    Inputs,
    'intents' | 'history' | 'releases' | 'storedFreeze' | 'fleet' | 'tokens' | 'apiConsumers'
  >;
  readonly leadership: Pick<Leadership, 'state' | 'term' | 'mayWrite' | 'takenOver'>;
  readonly publication: Pick<Publication, 'isOpen'>;
  /** Why nothing may be written until a person has decided, or null. */
  readonly lost: () => string | null;
  readonly clock: Clock;
  readonly log: Log;
}

interface Taken {
  readonly records: TruthRecords;
  readonly epoch: number;
}

/**
 * Keeps copies of the truth where ZooKeeper is not. One is taken only by the leader, of stores that were read whole and have lost
 * nothing, under a term whose epoch was found to be above that of Redis and of every copy: so a ZooKeeper that was wiped or set back
 * is noticed before it could replace the good copy.
 */
export class Copies implements Lifecycle {
  readonly #deps: CopiesDeps;
  #timer: Timer | undefined;
  #sure: Term | null = null;
  /** Place → what it has; nothing is written twice. */
  readonly #taken = new Map<CopyPlace, Taken>();
  /** Where what is there has to be kept when it is replaced. */
  readonly #keep = new Set<CopyPlace>();
  readonly #complaints = new Map<CopyPlace, string>();
  readonly #audit: AuditCopy;
  /** The same object for as long as nothing has changed, so that a look at nothing new costs nothing. */
  readonly #recordsOf = remembered(recordsOf);
  #taking: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(deps: CopiesDeps) {
    this.#deps = deps;
    this.#audit = new AuditCopy(deps);
  }

  async start(): Promise<void> {
    for (const place of this.#deps.places) await place.start();
    this.#timer = this.#deps.clock.every(EVERY_MS, () => {
      this.#taking = this.#taking.then(() => this.take());
    });
  }

  /** Takes what has changed since, once more. */
  close(): Promise<void> {
    return (this.#closing ??= (async () => {
      this.#timer?.stop();
      await this.#taking;
      await this.take();
      for (const place of this.#deps.places) await place.close();
    })());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Looks, once in a pass, whether the present term is one under which copies may be taken. */
  look(): void {
    const { leadership, publication } = this.#deps;
    if (publication.isOpen && leadership.mayWrite && leadership.takenOver === null)
      this.#sure = leadership.term;
  }

  /** What is there now will be given up: it becomes the previous copy when the next one is taken. */
  keepPrevious(): void {
    for (const place of this.#deps.places) this.#keep.add(place);
  }

  /** The highest epoch of any copy; 0 if there is none, or none that can be read. */
  async highestEpoch(): Promise<number> {
    const found = await Promise.all(
      this.#deps.places.map(async (place) => {
        const epoch = await place.epoch();
        return epoch.ok ? (epoch.value ?? 0) : 0;
      }),
    );
    return Math.max(0, ...found);
  }

  /** The greatest number of a record of the audit in any copy; 0 if there is none, or none that can be read. */
  async newestAudit(): Promise<number> {
    const found = await Promise.all(this.#deps.places.map((place) => place.audit.newest()));
    return Math.max(0, ...found.map((one) => (one.ok ? (one.value?.n ?? 0) : 0)));
  }

  /** All that is shown now and the newest of the audit, as a document; the error says why there is none. */
  async document({ tokens }: { readonly tokens: boolean }): Promise<Result<string, string>> {
    const records = this.#shown();
    if (records === null) return err('not everything has been read yet; see /readyz');
    const { audit, codec, leadership } = this.#deps;
    const newest = await audit.newest();
    if (!newest.ok) return newest;
    const read = await audit.following(Math.max(0, newest.value - MOST_COPIED), MOST_COPIED);
    if (!read.ok) return read;
    const texts = newestWithin(
      MOST_EXPORTED,
      read.value.map((one) => codec.encodeAudit(one).text),
    );
    const asked = tokens ? records : { ...records, tokens: null };
    return ok(encodeWhole(this.#copyOf({ records: asked, epoch: leadership.term?.epoch ?? 0 }), texts));
  }

  /** Reads a copy. The error says what is wrong with it. */
  async read(name: CopyPlaceName, which: 'newest' | 'previous'): Promise<Result<ReadCopy, string>> {
    const place = this.#deps.places.find((one) => one.place === name);
    if (place === undefined) return err('EBBGATE_STATE_DIR is not set, so there is no copy on a disk');
    const text = await place.read(which);
    if (!text.ok) return err(`${place.spelled}: ${text.error}`);
    if (text.value === null) return err(`${place.spelled}: there is no ${which} copy`);
    const parsed = parseCopyText(text.value);
    if (!parsed.ok) return err(`${place.spelled}: ${parsed.error}`);
    const audit = await place.audit.read();
    if (!audit.ok) return err(`${place.spelled}: the audit: ${audit.error}`);
    return ok(this.#decoded({ ...parsed.value, audit: audit.value.map(recordIn) }));
  }

  /** Reads a document that somebody sent. */
  parse(document: unknown): Result<ReadCopy, string> {
    const parsed = parseCopy(document);
    return parsed.ok ? ok(this.#decoded(parsed.value)) : parsed;
  }

  #decoded(parsed: ParsedCopy): ReadCopy {
    return { ...parsed, ...this.#deps.codec.decode(parsed) };
  }

  /** Writes what has changed since the last copy into every place, unless no copy may be taken now. Never rejects. */
  async take(): Promise<void> {
    const { leadership, lost, places } = this.#deps;
    const { term } = leadership;
    const mayTake = (): boolean =>
      leadership.state === 'leading' && term !== null && term === this.#sure && lost() === null;
    if (term === null || !mayTake()) return;
    const records = this.#shown();
    if (records === null) return;
    const taken: Taken = { records, epoch: term.epoch };
    let parts = 0;
    // A planned stop does not wait for the whole of a long audit.
    const goesOn = (): boolean => mayTake() && (this.#closing === undefined || parts++ < MOST_PARTS_AT_STOP);
    for (const place of places) {
      // First, so that no change is in a copy without its record.
      const followed = await this.#audit.follow(place, term, goesOn);
      const written = await this.#replace(place, taken, mayTake);
      const failed = [written, followed].find((one) => !one.ok);
      this.#complain(place, failed?.ok === false ? failed.error : null);
    }
  }

  async #replace(place: CopyPlace, taken: Taken, mayTake: () => boolean): Promise<Result<null, string>> {
    if (isSame(this.#taken.get(place), taken)) return ok(null);
    const keep = this.#keep.has(place) || (await this.#isOld(place));
    if (!mayTake()) return ok(null);
    const written = await place.replace(this.#copyOf(taken), keep);
    if (written.ok) {
      this.#taken.set(place, taken);
      this.#keep.delete(place);
    }
    return written;
  }

  #shown(): TruthRecords | null {
    const { intents, history, releases, storedFreeze, fleet, tokens, apiConsumers } = this.#deps.inputs;
    const roster = fleet.before({ began: 'before', wall: 0 });
    if (intents === null || releases === null || storedFreeze === undefined) return null;
    if (roster === null || tokens === null || apiConsumers === null) return null;
    return this.#recordsOf(intents, history, releases, storedFreeze, roster, tokens, apiConsumers);
  }

  #copyOf({ epoch, records }: Taken): KeptCopy {
    const at = new Date(this.#deps.clock.wall()).toISOString();
    return { epoch, at, tokens: records.tokens !== null, records: this.#deps.codec.encode(records) };
  }

  /** True if the previous copy is missing, or so old that the newest may take its place. */
  async #isOld(place: CopyPlace): Promise<boolean> {
    if (this.#taken.has(place)) return false;
    const text = await place.read('previous');
    if (!text.ok) return false;
    const parsed = text.value === null ? null : parseCopyText(text.value);
    return parsed?.ok !== true || Date.parse(parsed.value.at) + KEPT_MS < this.#deps.clock.wall();
  }

  #complain(place: CopyPlace, reason: string | null): void {
    if (reason !== null && this.#complaints.get(place) !== reason)
      this.#deps.log.warn({ place: place.spelled, reason }, 'the copy of what was decided cannot be written');
    if (reason === null && this.#complaints.delete(place))
      this.#deps.log.info({ place: place.spelled }, 'the copy of what was decided is written again');
    if (reason !== null) this.#complaints.set(place, reason);
  }
}

function recordsOf(
  intents: NonNullable<Inputs['intents']>,
  histories: Inputs['history'],
  releases: NonNullable<Inputs['releases']>,
  freeze: NonNullable<Inputs['storedFreeze']> | null,
  roster: TruthRecords['roster'],
  tokens: NonNullable<Inputs['tokens']>,
  consumers: NonNullable<Inputs['apiConsumers']>,
): TruthRecords {
  const running = [...releases].flatMap(([service, { current }]) =>
    current ? [[service, current.record] as const] : [],
  );
  return {
    intents: new Map([...intents].map(([service, { record }]) => [service, record])),
    ...{ histories, roster, freeze: freeze?.record ?? null },
    releases: new Map(running),
    ended: [...releases.values()].flatMap((one) => one.history),
    tokens: new Map([...tokens].map(([name, { record }]) => [name, record])),
    consumers: new Map([...consumers].map(([name, { record }]) => [name, record])),
  };
}

/** Records are never changed, only replaced. */
function isSame(before: Taken | undefined, after: Taken): boolean {
  if (before?.epoch !== after.epoch) return false;
  const [was, now] = [before.records, after.records];
  if (was === now) return true;
  const maps = ['intents', 'histories', 'roster', 'releases', 'tokens', 'consumers'] as const;
  if (was.freeze !== now.freeze) return false;
  if (!maps.every((name) => sameEntries<unknown>(was[name] ?? NONE, now[name] ?? NONE))) return false;
  return was.ended.length === now.ended.length && was.ended.every((one, at) => one === now.ended[at]);
}

const NONE: ReadonlyMap<string, unknown> = new Map();

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [name, one] of a) if (b.get(name) !== one) return false;
  return true;
}
