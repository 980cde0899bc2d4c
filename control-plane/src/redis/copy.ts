import type { Clock, Log } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import type { CopyPlace, CopyRecord, KeptCopy } from '../model/truth_copy.js';
import { addressOf, describeAddress } from '../model/redis_url.js';
import { RedisLink } from './client.js';
import { COPY_KEYS, KEYS } from './keys.js';

/** Characters of records in one call, so that nothing else of Redis waits long. */
const BATCH_CHARACTERS = 256_000;
/** A change of more than this is written as a new copy: it is staged in parts, and replaces the other in one step. */
const MOST_CHANGED = 500;
/** Records read by one call. */
const SCAN = '200';

export interface RedisCopyOptions {
  readonly url: string;
  readonly log: Log;
  readonly clock: Clock;
  /** lua/redis/copy.lua */
  readonly script: string;
  /** The head of a copy without its records, as JSON; and back. */
  readonly headOf: (copy: KeptCopy) => string;
  /** A head and its records as a document. */
  readonly join: (head: string, records: readonly CopyRecord[]) => string | null;
}

/** The copy in Redis, over a connection of its own. A bad url throws. */
export function createRedisCopy(options: RedisCopyOptions): CopyPlace {
  const address = addressOf(options.url);
  const { log, clock, script } = options;
  const link = new RedisLink({
    ...{ address, log, clock, name: 'ebbgate-copy', scripts: { copy: script } },
    commandTimeoutMs: 5_000,
  });
  return new RedisCopy(link, `${describeAddress(address)} (${COPY_KEYS.head})`, options);
}

/** Written incrementally: what is there since the last write is remembered, and a copy that is not it is written anew. */
class RedisCopy implements CopyPlace {
  readonly place = 'redis';
  readonly spelled: string;
  readonly #link: RedisLink;
  readonly #options: Pick<RedisCopyOptions, 'headOf' | 'join'>;
  #written: { readonly revision: string; readonly records: ReadonlyMap<string, string> } | null = null;

  constructor(link: RedisLink, spelled: string, options: Pick<RedisCopyOptions, 'headOf' | 'join'>) {
    this.#link = link;
    this.spelled = spelled;
    this.#options = options;
  }

  start(): Promise<void> {
    return this.#link.start();
  }
  close(): Promise<void> {
    return this.#link.close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async epoch(): Promise<Result<number | null, string>> {
    const answer = await this.#link.run('HGET', COPY_KEYS.head, 'epoch');
    if (!answer.ok) return answer.error.startsWith('WRONGTYPE') ? ok(null) : answer;
    return ok(
      typeof answer.value === 'string' && /^\d{1,16}$/.test(answer.value) ? Number(answer.value) : null,
    );
  }

  async read(which: 'newest' | 'previous'): Promise<Result<string | null, string>> {
    const [headKey, recordsKey] =
      which === 'newest'
        ? [COPY_KEYS.head, COPY_KEYS.records]
        : [COPY_KEYS.previous, COPY_KEYS.previousRecords];
    const head = await this.#link.run('HGET', headKey, 'head');
    if (!head.ok) return head.error.startsWith('WRONGTYPE') ? ok(null) : head;
    if (typeof head.value !== 'string') return ok(null);
    const records = new Map<string, string>();
    for (let cursor = '0'; ;) {
      const part = await this.#link.run('HSCAN', recordsKey, cursor, 'COUNT', SCAN);
      if (!part.ok) return part;
      const [next, pairs] = part.value as readonly [string, readonly string[]];
      for (let at = 0; at < pairs.length; at += 2) records.set(pairs[at] ?? '', pairs[at + 1] ?? '');
      if (next === '0') break;
      cursor = next;
    }
    const listed = [...records].map(([record, value]) => ({ record, value }));
    listed.sort((a, b) => (a.record < b.record ? -1 : 1));
    const document = this.#options.join(head.value, listed);
    return document === null ? err(`${headKey} cannot be read`) : ok(document);
  }

  async replace(copy: KeptCopy, keep: boolean): Promise<Result<null, string>> {
    const records = new Map(copy.records.map(({ record, value }) => [record, value]));
    const before = this.#written;
    this.#written = null;
    const changed = before === null ? null : changes(before.records, records);
    const small =
      before !== null &&
      changed !== null &&
      changed.length <= MOST_CHANGED &&
      size(changed) <= BATCH_CHARACTERS;
    const revision = small ? await this.#ask('change', copy, keep, before.revision, changed) : ok('conflict');
    if (!revision.ok) return revision;
    const done = revision.value === 'conflict' ? await this.#replace(copy, keep) : revision;
    if (!done.ok) return done;
    this.#written = { revision: done.value, records };
    return ok(null);
  }

  async #replace(copy: KeptCopy, keep: boolean): Promise<Result<string, string>> {
    const begun = await this.#ask('begin', copy, false, '0', []);
    if (!begun.ok) return begun;
    for (const batch of batches(copy.records)) {
      const staged = await this.#ask('stage', copy, false, '0', batch);
      if (!staged.ok) return staged;
    }
    return this.#ask('replace', copy, keep, '0', []);
  }

  /** The revision after it, or `conflict`. */
  async #ask(
    step: string,
    copy: KeptCopy,
    keep: boolean,
    expected: string,
    records: readonly CopyRecord[],
  ): Promise<Result<string, string>> {
    const { head, previous, previousRecords, staged } = COPY_KEYS;
    const needsHead = step === 'replace' || step === 'change';
    const answer = await this.#link.runScript(
      'copy',
      [KEYS.meta, head, COPY_KEYS.records, staged, previous, previousRecords],
      [
        ...[
          step,
          String(copy.epoch),
          expected,
          needsHead ? this.#options.headOf(copy) : '',
          keep ? '1' : '0',
        ],
        ...records.flatMap(({ record, value }) => [record, value]),
      ],
    );
    if (!answer.ok) return answer;
    const [kind, detail] = Array.isArray(answer.value) ? (answer.value as readonly unknown[]) : [];
    if (kind === 'done' && typeof detail === 'string') return ok(detail);
    if (kind === 'conflict') return ok('conflict');
    return err(
      kind === 'fenced' ? `a copy of epoch ${String(detail)} is there` : 'the copy script answered nonsense',
    );
  }
}

/** What differs; an empty text = the record is gone. */
function changes(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly CopyRecord[] {
  const changed = [...after].filter(([record, value]) => before.get(record) !== value);
  const gone = [...before.keys()].filter((record) => !after.has(record));
  return [
    ...changed.map(([record, value]) => ({ record, value })),
    ...gone.map((record) => ({ record, value: '' })),
  ];
}

/** Parts that one call takes; at least one record each. */
function* batches(records: readonly CopyRecord[]): Generator<readonly CopyRecord[]> {
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

function size(records: readonly CopyRecord[]): number {
  return records.reduce((sum, { record, value }) => sum + record.length + value.length, 0);
}
