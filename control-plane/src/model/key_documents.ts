/*
 * The keys of all consumers, as they are published: documents `@keys:00` … `@keys:ff`, by the first byte of a key's hash, so that
 * each has a bounded size and a change of one key publishes one document. There is none without a key.
 */

/** All of them together, where one asks who follows them. */
export const KEYS = '@keys';
const PREFIX = `${KEYS}:`;
const NAME = /^@keys:[0-9a-f]{2}$/;

/** The name of the document that has the key with this hash (hexadecimal). */
export function keysNameOf(hash: string): string {
  return PREFIX + hash.slice(0, 2);
}

/** True of the name of a document of keys. */
export function isKeysName(name: string): boolean {
  return NAME.test(name);
}

/** A consumer in a document. A member that may be absent is left out where it says no more than its absence. */
export interface PublishedConsumer {
  readonly name: string;
  /** Absent: all. */
  readonly services?: readonly string[];
  /** Absent: any. */
  readonly networks?: readonly string[];
}

export interface PublishedKey {
  readonly hash: string;
  readonly id: string;
  /** Its place in `consumers`, from 0. */
  readonly consumer: number;
  /** Unix seconds; absent: never. */
  readonly expires?: number;
}

/** Consumers are sorted by name, keys by hash. */
export interface KeysDocument {
  readonly v: 1;
  /** Its name. */
  readonly service: string;
  readonly consumers: readonly PublishedConsumer[];
  readonly keys: readonly PublishedKey[];
}
