import type { CopyRecord } from '../model/truth_copy.js';

/** Characters of records in one call, so that nothing else of Redis waits long. */
export const BATCH_CHARACTERS = 256_000;
/** A change of more than this is written as a new copy: it is staged in parts, and replaces the other in one step. */
export const MOST_CHANGED = 500;

/** Parts that one call takes; at least one record each. */
export function* batches(records: readonly CopyRecord[]): Generator<readonly CopyRecord[]> {
  let batch: CopyRecord[] = [];
  let characters = 0;
  for (const one of records) {
    const more = one.record.length + one.value.length;
    if (batch.length > 0 && (characters + more > BATCH_CHARACTERS || batch.length >= MOST_CHANGED)) {
      yield batch;
      [batch, characters] = [[], 0];
    }
    batch.push(one);
    characters += more;
  }
  if (batch.length > 0) yield batch;
}

/** Characters of the records. */
export function sizeOf(records: readonly CopyRecord[]): number {
  return records.reduce((sum, { record, value }) => sum + record.length + value.length, 0);
}
