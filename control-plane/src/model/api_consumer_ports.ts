import type { ConsumerRecord } from './api_consumer.js';
import type { TruthStore } from './ports.js';

/*
 * The consumers, between the folders.
 */

/** A consumer as it is in the store. */
export interface StoredConsumer {
  readonly record: ConsumerRecord;
  readonly etag: string;
}

/** One consumer to write; `record` null removes it, `etag` null = it must not exist yet. */
export interface ConsumerEdit {
  readonly name: string;
  readonly etag: string | null;
  readonly record: ConsumerRecord | null;
}

/**
 * The consumers. A damaged one stays shown as it was last good, or not at all if it never was: its keys stay as they were published.
 */
export type ApiConsumerStore = TruthStore<StoredConsumer, ConsumerEdit>;
