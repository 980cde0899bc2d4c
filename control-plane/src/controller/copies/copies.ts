import type { Clock, Lifecycle, Log, Term, Timer } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { CopyPlaceName } from '../../model/copy_places.js';
import type { CopyPlace, ReadCopy, RecordCodec, TruthRecords } from '../../model/truth_copy.js';
import { encodeCopy, parseCopy, parseCopyText } from '../../plan/copy_document.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Leadership } from '../office/leadership.js';
import type { Publication } from '../office/publication.js';

/** How often it is asked whether anything has changed. */
const EVERY_MS = 5_000;
/** So old the previous copy becomes, before the newest takes its place. */
const KEPT_MS = 24 * 3_600_000;

export interface CopiesDeps {
  readonly places: readonly CopyPlace[];
  readonly codec: RecordCodec;
  readonly inputs: Pick<Inputs, 'intents' | 'history' | 'releases' | 'storedFreeze' | 'fleet'>;
  readonly leadership: Pick<Leadership, 'state' | 'term' | 'mayWrite' | 'takenOver'>;
  readonly publication: Pick<Publication, 'isOpen'>;
  /** Why nothing may be written until a person has decided, or null. */
  readonly lost: () => string | null;
  readonly clock: Clock;
  readonly log: Log;
}

type Taken = TruthRecords & { readonly epoch: number };

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
  #taking: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(deps: CopiesDeps) {
    this.#deps = deps;
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

  /** All that is shown now, as a document; null before it was read. */
  document(): string | null {
    const records = this.#shown();
    if (records === null) return null;
    return encodeCopy(this.#copyOf({ ...records, epoch: this.#deps.leadership.term?.epoch ?? 0 }));
  }

  /** Reads a copy. The error says what is wrong with it. */
  async read(name: CopyPlaceName, which: 'newest' | 'previous'): Promise<Result<ReadCopy, string>> {
    const place = this.#deps.places.find((one) => one.place === name);
    if (place === undefined) return err('EBBGATE_STATE_DIR is not set, so there is no copy on a disk');
    const text = await place.read(which);
    if (!text.ok) return err(`${place.spelled}: ${text.error}`);
    if (text.value === null) return err(`${place.spelled}: there is no ${which} copy`);
    const parsed = parseCopyText(text.value);
    return parsed.ok
      ? ok({ ...parsed.value, ...this.#deps.codec.decode(parsed.value.records) })
      : err(`${place.spelled}: ${parsed.error}`);
  }

  /** Reads a document that somebody sent. */
  parse(document: unknown): Result<ReadCopy, string> {
    const parsed = parseCopy(document);
    return parsed.ok ? ok({ ...parsed.value, ...this.#deps.codec.decode(parsed.value.records) }) : parsed;
  }

  /** Writes what has changed since the last copy into every place, unless no copy may be taken now. Never rejects. */
  async take(): Promise<void> {
    const { leadership, lost, places } = this.#deps;
    const { term } = leadership;
    const mayTake = (): boolean =>
      leadership.state === 'leading' && term !== null && term === this.#sure && lost() === null;
    const records = this.#shown();
    if (term === null || records === null || !mayTake()) return;
    const taken: Taken = { ...records, epoch: term.epoch };
    for (const place of places) {
      if (isSame(this.#taken.get(place), taken)) continue;
      const keep = this.#keep.has(place) || (await this.#isOld(place));
      if (!mayTake()) return;
      const written = await place.replace(this.#copyOf(taken), keep);
      if (written.ok) {
        this.#taken.set(place, taken);
        this.#keep.delete(place);
      }
      this.#complain(place, written.ok ? null : written.error);
    }
  }

  #shown(): TruthRecords | null {
    const { intents, history, releases, storedFreeze, fleet } = this.#deps.inputs;
    const roster = fleet.before({ began: 'before', wall: 0 });
    if (intents === null || releases === null || storedFreeze === undefined || roster === null) return null;
    return {
      intents: new Map([...intents].map(([service, { record }]) => [service, record])),
      ...{ histories: history, roster },
      releases: new Map(
        [...releases].flatMap(([service, { current }]) =>
          current ? [[service, current.record] as const] : [],
        ),
      ),
      ended: [...releases.values()].flatMap((one) => one.history),
      freeze: storedFreeze?.record ?? null,
    };
  }

  #copyOf({ epoch, ...records }: Taken) {
    const at = new Date(this.#deps.clock.wall()).toISOString();
    return { epoch, at, records: this.#deps.codec.encode(records) };
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

/** Records are never changed, only replaced. */
function isSame(before: Taken | undefined, now: Taken): boolean {
  if (before === undefined || before.epoch !== now.epoch || before.freeze !== now.freeze) return false;
  const maps = ['intents', 'histories', 'roster', 'releases'] as const;
  if (!maps.every((name) => sameEntries<unknown>(before[name], now[name]))) return false;
  return before.ended.length === now.ended.length && before.ended.every((one, at) => one === now.ended[at]);
}

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [name, one] of a) if (b.get(name) !== one) return false;
  return true;
}
