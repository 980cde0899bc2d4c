import type { Meta } from '../../model/ports.js';
import type { EncodedDocument, PublishedDocument } from '../../model/set.js';
import { ROUTES } from '../../model/names.js';
import { encode } from '../../plan/encode.js';
import { differing } from '../../plan/incremental.js';

/** What is published in Redis, as far as this controller knows. It asks nobody; `Publication` writes and reads for it. */
export class PublishedSets {
  #published = new Map<string, PublishedDocument>();
  /** Services whose newest publish has no answer: it may have been applied. */
  readonly #unsettled = new Set<string>();
  /** Service → the generation of its set in Redis, as far as known; the publish script insists on it. */
  #generations = new Map<string, number>();
  #lastGeneration = 0;
  /** What `due` found to be published completely the last time. */
  #complete: { readonly documents: ReadonlyMap<string, EncodedDocument>; readonly epoch: number } | null =
    null;
  /** Services of which anything here has changed since. */
  readonly #touched = new Set<string>();

  /** By service, and `@routes`. */
  get published(): ReadonlyMap<string, PublishedDocument> {
    return this.#published;
  }
  get unsettled(): ReadonlySet<string> {
    return this.#unsettled;
  }
  /** The highest generation that was seen; Redis below it has lost data. */
  get lastGeneration(): number {
    return this.#lastGeneration;
  }

  /** Begins with what Redis was found to contain, at `generation`. */
  begin(found: readonly PublishedDocument[], generation: number): void {
    this.#complete = null;
    this.#published = new Map(found.map((one) => [one.service, one]));
    this.#generations = new Map(found.map((one) => [one.service, one.generation]));
    this.#unsettled.clear();
    this.#lastGeneration = generation;
  }

  /** The generation at which the set of `service` is believed to be; 0 = there is none. */
  generationOf(service: string): number {
    return this.#generations.get(service) ?? 0;
  }

  /** The set of `service` was found at another generation than was believed. */
  correct(service: string, generation: number): void {
    this.#generations.set(service, generation);
  }

  /** From now on until `settle` it is not known which set of `service` is in Redis. */
  unsettle(service: string): void {
    this.#touched.add(service);
    this.#unsettled.add(service);
  }

  /** A publish was answered: this is in Redis now. */
  settle(document: PublishedDocument): void {
    const { service, generation } = document;
    this.#touched.add(service);
    this.#lastGeneration = Math.max(this.#lastGeneration, generation);
    this.#generations.set(service, generation);
    this.#published.set(service, document);
    this.#unsettled.delete(service);
  }

  /** A tombstone at `generation` may be absent from now on; what was published since stays. */
  withdraw(service: string, generation: number): void {
    if (this.#published.get(service)?.generation !== generation) return;
    this.#published.delete(service);
    this.#generations.delete(service);
  }

  /** True if the set of `service` is `hash` under `epoch`, and that is sure. */
  isPublished(service: string, hash: string, epoch: number | undefined): boolean {
    const published = this.#published.get(service);
    return published?.hash === hash && published.epoch === epoch && !this.#unsettled.has(service);
  }

  /**
   * What is to be published so that Redis has `documents` under `epoch`, and tombstones of all others: sets, then the
   * routes to them, then tombstones. After all of it was published it costs what differs from that.
   */
  due(documents: ReadonlyMap<string, EncodedDocument>, epoch: number): readonly EncodedDocument[] {
    const sets: EncodedDocument[] = [];
    const routes: EncodedDocument[] = [];
    const tombstones: EncodedDocument[] = [];
    for (const service of this.#suspects(documents, epoch)) {
      const wanted = documents.get(service) ?? this.#tombstoneOf(service);
      if (wanted === null || this.isPublished(service, wanted.hash, epoch)) continue;
      (!documents.has(service) ? tombstones : service === ROUTES ? routes : sets).push(wanted);
    }
    const due = [...sets, ...routes, ...tombstones];
    if (due.length === 0) {
      this.#complete = { documents, epoch };
      this.#touched.clear();
    }
    return due;
  }

  /** The services of which Redis may not have what it should. */
  #suspects(documents: ReadonlyMap<string, EncodedDocument>, epoch: number): ReadonlySet<string> {
    if (this.#complete?.epoch === epoch)
      return new Set([...this.#touched, ...differing(this.#complete.documents, documents)]);
    return new Set([...documents.keys(), ...this.#published.keys(), ...this.#unsettled]);
  }

  /** The tombstone that should be there of what is out and no longer wanted; null if it never was. */
  #tombstoneOf(service: string): EncodedDocument | null {
    const out = this.#published.get(service);
    if (out === undefined && !this.#unsettled.has(service)) return null;
    return out && 'removed' in out.document ? out : encode({ v: 1, service, removed: true });
  }
}

/** What a meta says against our term, or null. */
export function doubtOf(meta: Meta | null, epoch: number, generation: number): string | null {
  if (meta === null) return 'Redis has lost its data';
  if (meta.epoch > epoch) return `epoch ${String(meta.epoch)} is open in Redis`;
  if (meta.epoch < epoch || meta.generation < generation) return 'Redis has lost data';
  return null;
}
