import { MOST_COPIED } from '../model/audit.js';
import { ok, type Result } from '../model/result.js';
import type { CopiedAudit, CopiedRecord } from '../model/truth_copy.js';
import { batches } from './batches.js';
import type { RedisLink } from './client.js';
import { askCopy, hashOf } from './copy_script.js';
import { COPY_KEYS } from './keys.js';

const NUMBER = /^\d{10}$/;

/** The records of the audit in one hash, by their numbers. */
export class RedisCopiedAudit implements CopiedAudit {
  readonly #link: RedisLink;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  async newest(): Promise<Result<CopiedRecord | null, string>> {
    const last = await this.#link.run('HGET', COPY_KEYS.audit, 'last');
    if (!last.ok) return last;
    const n = typeof last.value === 'string' && /^\d{1,10}$/.test(last.value) ? Number(last.value) : 0;
    if (n === 0) return ok(null);
    const text = await this.#link.run('HGET', COPY_KEYS.audit, numbered(n));
    if (!text.ok) return text;
    return ok({ n, text: typeof text.value === 'string' ? text.value : '' });
  }

  async read(): Promise<Result<readonly string[], string>> {
    const fields = await hashOf(this.#link, COPY_KEYS.audit);
    if (!fields.ok) return fields;
    const records = [...fields.value].filter(([name]) => NUMBER.test(name));
    return ok(records.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text));
  }

  async append(
    epoch: number,
    after: number,
    records: readonly CopiedRecord[],
  ): Promise<Result<'done' | 'conflict', string>> {
    let expected = String(after);
    const named = records.map(({ n, text }) => ({ record: numbered(n), value: text }));
    for (const batch of batches(named)) {
      const added = await askCopy(this.#link, {
        ...{ step: 'audit', epoch, expected, head: String(MOST_COPIED), keep: false },
        pairs: batch.flatMap(({ record, value }) => [record, value]),
      });
      if (!added.ok) return added;
      if (added.value === 'conflict') return ok('conflict');
      expected = added.value;
    }
    return ok('done');
  }

  async clear(epoch: number): Promise<Result<null, string>> {
    const call = { step: 'forget', epoch, expected: '0', head: '', keep: false, pairs: [] } as const;
    const done = await askCopy(this.#link, call);
    return done.ok ? ok(null) : done;
  }
}

function numbered(n: number): string {
  return String(n).padStart(10, '0');
}
