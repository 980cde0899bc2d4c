import type { Clock, Log } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import type { CopyPlace, CopyRecord, KeptCopy } from '../model/truth_copy.js';
import { addressOf, describeAddress } from '../model/redis_url.js';
import { RedisLink } from './client.js';
import { askCopy, hashOf, type CopyStep } from './copy_script.js';
import { batches, BATCH_CHARACTERS, MOST_CHANGED, sizeOf } from './batches.js';
import { RedisCopiedAudit } from './copied_audit.js';
import { COPY_KEYS } from './keys.js';

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
  readonly audit: RedisCopiedAudit;
  readonly #link: RedisLink;
  readonly #options: Pick<RedisCopyOptions, 'headOf' | 'join'>;
  #written: { readonly revision: string; readonly records: ReadonlyMap<string, string> } | null = null;

  constructor(link: RedisLink, spelled: string, options: Pick<RedisCopyOptions, 'headOf' | 'join'>) {
    this.#link = link;
    this.spelled = spelled;
    this.audit = new RedisCopiedAudit(link);
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
    const records = await hashOf(this.#link, recordsKey);
    if (!records.ok) return records;
    const listed = [...records.value].map(([record, value]) => ({ record, value }));
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
      sizeOf(changed) <= BATCH_CHARACTERS;
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
  #ask(
    step: CopyStep,
    copy: KeptCopy,
    keep: boolean,
    expected: string,
    records: readonly CopyRecord[],
  ): Promise<Result<string, string>> {
    const needsHead = step === 'replace' || step === 'change';
    const head = needsHead ? this.#options.headOf(copy) : '';
    const pairs = records.flatMap(({ record, value }) => [record, value]);
    return askCopy(this.#link, { step, epoch: copy.epoch, expected, head, keep, pairs });
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
