import type { StoredConsumer } from '../model/api_consumer_ports.js';
import type { EncodedDocument } from '../model/set.js';
import { compileKeys, documentsOf, publishedHolders, type KeyHolder } from './compile_keys.js';
import { encode } from './encode.js';
import { differing, Successor } from './incremental.js';

type Stored = ReadonlyMap<string, StoredConsumer>;
type Kept = ReadonlyMap<string, KeyHolder>;

const NONE: Kept = new Map();

/**
 * The documents of keys that should be published. Every call says it of all consumers; a document none of whose consumers is another
 * object than before is not made again, so that a change costs the documents that it is in, and one look at each consumer.
 */
export class KeyDocuments {
  #stored: Stored = new Map();
  /** Those whose keys are kept as they were published. */
  #kept: Kept = NONE;
  /** Document → who has keys in it. */
  readonly #of = new Map<string, Map<string, KeyHolder>>();
  #documents: ReadonlyMap<string, EncodedDocument> = new Map();

  /**
   * By name; the same object as before while nothing changed. Of consumers in `unreadable`, which are not among `consumers`, the keys
   * stay as they are in `published`.
   */
  compile(
    consumers: Stored,
    unreadable: ReadonlySet<string>,
    published: () => Iterable<EncodedDocument>,
  ): ReadonlyMap<string, EncodedDocument> {
    const hidden = [...unreadable].filter((name) => !consumers.has(name));
    if (this.#stored === consumers && hidden.length === 0 && this.#kept.size === 0) return this.#documents;
    const kept = hidden.length === 0 ? NONE : publishedHolders(new Set(hidden), published());
    const names = new Set([...differing(this.#stored, consumers), ...this.#kept.keys(), ...kept.keys()]);
    const touched = new Set<string>();
    for (const name of names) {
      const before = this.#kept.get(name) ?? this.#stored.get(name)?.record;
      this.#move(name, before, kept.get(name) ?? consumers.get(name)?.record, touched);
    }
    [this.#stored, this.#kept] = [consumers, kept];
    this.#make(touched);
    return this.#documents;
  }

  /** Enters `after` in place of `before`, and what documents that concerns in `touched`. */
  #move(
    name: string,
    before: KeyHolder | undefined,
    after: KeyHolder | undefined,
    touched: Set<string>,
  ): void {
    if (before === after) return;
    for (const document of before ? documentsOf(before) : []) {
      this.#of.get(document)?.delete(name);
      touched.add(document);
    }
    if (after === undefined) return;
    for (const document of documentsOf(after)) {
      const those = this.#of.get(document) ?? new Map<string, KeyHolder>();
      this.#of.set(document, those.set(name, after));
      touched.add(document);
    }
  }

  #make(touched: ReadonlySet<string>): void {
    const next = new Successor(this.#documents);
    for (const name of touched) {
      const compiled = compileKeys(name, this.#of.get(name)?.values() ?? []);
      const encoded = compiled === null ? undefined : encode(compiled);
      const known = this.#documents.get(name);
      next.set(name, known && known.hash === encoded?.hash ? known : encoded);
      if (encoded === undefined) this.#of.delete(name);
    }
    this.#documents = next.map;
  }
}
