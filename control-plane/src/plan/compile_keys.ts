import type { ConsumerTerms } from '../model/api_consumer.js';
import { EVERYTHING } from '../model/glob.js';
import { keysNameOf, type KeysDocument, type PublishedKey } from '../model/key_documents.js';
import type { EncodedDocument } from '../model/set.js';
import { byCodeUnit } from './encode.js';

/*
 * Consumers become the published documents of their keys. A key whose time is over stays in its document until it is revoked: the
 * gateways refuse it by their clocks, and can say why.
 */

/** What of a consumer is published. */
export interface KeyHolder extends ConsumerTerms {
  readonly name: string;
  readonly keys: readonly { readonly id: string; readonly hash: string; readonly expires: string | null }[];
}

/** The names of the documents that have keys of a consumer. */
export function documentsOf({ keys }: Pick<KeyHolder, 'keys'>): ReadonlySet<string> {
  return new Set(keys.map(({ hash }) => keysNameOf(hash)));
}

/** The document of that name; `holders` are those who have keys in it. Null: nobody has. */
export function compileKeys(name: string, holders: Iterable<KeyHolder>): KeysDocument | null {
  const sorted = [...holders].sort((a, b) => byCodeUnit(a.name, b.name));
  const keys = sorted.flatMap((holder, consumer): readonly PublishedKey[] =>
    holder.keys
      .filter(({ hash }) => keysNameOf(hash) === name)
      .map(({ hash, id, expires }) => ({
        ...{ hash, id, consumer },
        ...(expires === null ? {} : { expires: Math.ceil(Date.parse(expires) / 1_000) }),
      })),
  );
  if (keys.length === 0) return null;
  return {
    v: 1,
    service: name,
    consumers: sorted.map(({ name: consumer, services, networks }) => ({
      name: consumer,
      ...(services.includes(EVERYTHING) ? {} : { services: [...services].sort(byCodeUnit) }),
      ...(networks.length === 0 ? {} : { networks: [...networks].sort(byCodeUnit) }),
    })),
    keys: keys.sort((a, b) => byCodeUnit(a.hash, b.hash)),
  };
}

/** Those of `names` as the published documents have them: what is in force of a record that cannot be read. */
export function publishedHolders(
  names: ReadonlySet<string>,
  published: Iterable<EncodedDocument>,
): ReadonlyMap<string, KeyHolder> {
  const holders = new Map<string, KeyHolder>();
  if (names.size === 0) return holders;
  for (const { document } of published) {
    if (!('keys' in document)) continue;
    for (const { hash, id, consumer: place, expires } of document.keys) {
      const consumer = document.consumers[place];
      if (consumer === undefined || !names.has(consumer.name)) continue;
      const { name, services = [EVERYTHING], networks = [] } = consumer;
      const until = expires === undefined ? null : new Date(expires * 1_000).toISOString();
      const before = holders.get(name)?.keys ?? [];
      holders.set(name, { name, services, networks, keys: [...before, { id, hash, expires: until }] });
    }
  }
  return holders;
}
