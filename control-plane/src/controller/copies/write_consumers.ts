import type { ApiConsumerStore, ConsumerEdit } from '../../model/api_consumer_ports.js';
import type { Term, WriteFailure } from '../../model/ports.js';
import { ok, type Result } from '../../model/result.js';

/** Consumers written in one transaction, which takes 1 MB: one with 100 keys has about 40 KB. */
const BATCH = 20;

/**
 * Writes consumers, many in a transaction. What cannot be written because somebody changed it, or because it cannot be read, is left
 * as it is, and the answer is that conflict; all others are written.
 */
export async function writeConsumers(
  store: ApiConsumerStore,
  term: Term,
  edits: readonly ConsumerEdit[],
): Promise<Result<null, WriteFailure>> {
  let conflict: Result<null, WriteFailure> = ok(null);
  for (let start = 0; start < edits.length; start += BATCH) {
    const batch = edits.slice(start, start + BATCH);
    const together = await store.write(term, batch);
    if (together.ok) continue;
    if (together.error.kind !== 'conflict') return together;
    for (const edit of batch) {
      const alone = await store.write(term, [edit]);
      if (!alone.ok && alone.error.kind !== 'conflict') return alone;
      if (!alone.ok) conflict = alone;
    }
  }
  return conflict;
}
