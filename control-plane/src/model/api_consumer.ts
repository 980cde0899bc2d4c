/*
 * A consumer: whoever sends requests through the gateways and proves it by an API key. The registry's `consumers` nodes are
 * something else: they say which controller follows a service.
 */

/** A key of a consumer. Its text is kept nowhere. Times are RFC 3339. */
export interface ApiKeyRecord {
  /** Random: it names the key among those of its consumer, and says nothing of its text. */
  readonly id: string;
  /** SHA-256 of its text, in hexadecimal. */
  readonly hash: string;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** After this moment it is refused; null = never. */
  readonly expires: string | null;
}

/** What of a consumer can be changed. */
export interface ConsumerTerms {
  /** The services it may send requests to, as patterns. */
  readonly services: readonly string[];
  /** The networks its requests may come from; empty = any. */
  readonly networks: readonly string[];
}

/** The data of `/ebbgate/consumers/<name>`. */
export interface ConsumerRecord extends ConsumerTerms {
  /** Schema of this record. */
  readonly v: 1;
  readonly name: string;
  /** In the order in which they were made. */
  readonly keys: readonly ApiKeyRecord[];
  /** Who made it, why, and when. */
  readonly by: string;
  readonly reason: string;
  readonly at: string;
}

/** A key as the API shows it: nothing of it helps to guess the text. */
export interface ApiKeyResource {
  readonly id: string;
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
  /** True once `until` is over: it is refused, and stays in the list until it is revoked. */
  readonly expired: boolean;
}

export interface ConsumerResource extends ConsumerTerms {
  readonly name: string;
  readonly keys: readonly ApiKeyResource[];
  readonly by: string;
  readonly reason: string;
  readonly since: string;
}

/** Consumers in order of their names. */
export interface ConsumerPage {
  readonly items: readonly ConsumerResource[];
  /** The name behind which the next page begins; null = this is the last. */
  readonly next: string | null;
}

/** The consumers as the API asks for them; of the moment, and without waiting. */
export interface ConsumerPlane {
  /** False before they were read for the first time. */
  readonly known: boolean;
  page(query: { readonly after: string | null; readonly limit: number }): ConsumerPage;
  byName(name: string): ConsumerResource | undefined;
}

/** Bounds that keep every document of keys far below what a gateway reads (docs/contract/wire.md). */
export const MOST_CONSUMERS = 100_000;
export const MOST_KEYS_OF_ONE = 100;
export const MOST_KEYS = 200_000;
/** Of one document: 200,000 keys are about 800 in each, unless somebody chose them so that they are not. */
export const MOST_KEYS_OF_DOCUMENT = 8_000;
export const MOST_TERMS = 64;

/** A page of the list. */
export const MOST_LISTED = 1_000;

/** How short a key that somebody brings along may be, and how long. */
export const KEY_LENGTH = { min: 20, max: 256 } as const;
/** What a key consists of: what `Authorization: Bearer` can carry (RFC 6750, b64token), and no more. */
export const KEY_PATTERN = /^[A-Za-z0-9._~+/-]+=*$/;
