import type { StoredConsumer } from '../model/api_consumer_ports.js';
import type { EncodedDocument } from '../model/set.js';
import { compileKeys, documentsOf, publishedHolders, type KeyHolder } from './compile_keys.js';
import { encode } from './encode.js';
import { differing, Successor } from './incremental.js';

type Holders = ReadonlyMap<string, KeyHolder>;

/**
 * The documents of keys that should be published. Every call says it of all consumers; a document none of whose consumers is another
 * object than before is not made again, so that a change costs the documents that it is in.
 */
export class KeyDocuments {
  #stored: ReadonlyMap<string, StoredConsumer> | null = null;
  /** Of how many the keys are kept as they were published. */
  #hidden = 0;
  #holders: Holders = new Map();
  /** Document → who has keys in it. */
  readonly #of = new Map<string, Map<string, KeyHolder>>();
  #documents: ReadonlyMap<string, EncodedDocument> = new Map();

  /**
   * By name; the same object as before while nothing changed. Of consumers in `unreadable`, which are not among `consumers`, the keys
   * stay as they are in `published`.
   */
  compile(
    consumers: ReadonlyMap<string, StoredConsumer>,
    unreadable: ReadonlySet<string>,
    published: () => Iterable<EncodedDocument>,
  ): ReadonlyMap<string, EncodedDocument> {
    const hidden = [...unreadable].filter((name) => !consumers.has(name));
    if (this.#stored === consumers && hidden.length === 0 && this.#hidden === 0) return this.#documents;
    const kept = publishedHolders(new Set(hidden), hidden.length === 0 ? [] : published());
    const holders = new Map<string, KeyHolder>([...consumers].map(([name, { record }]) => [name, record]));
    for (const [name, holder] of kept) holders.set(name, holder);
    this.#take(holders);
    this.#stored = consumers;
    this.#hidden = hidden.length;
    return this.#documents;
  }

  #take(holders: Holders): void {
    const touched = new Set<string>();
    for (const name of differing(this.#holders, holders)) {
      const [before, after] = [this.#holders.get(name), holders.get(name)];
      for (const document of before ? documentsOf(before) : []) {
        this.#of.get(document)?.delete(name);
        touched.add(document);
      }
      for (const document of after ? documentsOf(after) : []) {
        const those = this.#of.get(document) ?? new Map<string, KeyHolder>();
        if (after) this.#of.set(document, those.set(name, after));
        touched.add(document);
      }
    }
    this.#holders = holders;
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
