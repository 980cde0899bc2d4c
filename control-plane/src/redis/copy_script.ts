import { err, ok, type Result } from '../model/result.js';
import type { RedisLink } from './client.js';
import { COPY_KEYS, KEYS } from './keys.js';

/** What lua/redis/copy.lua does. */
export type CopyStep = 'begin' | 'stage' | 'replace' | 'change' | 'audit' | 'forget';

/** Its arguments; `pairs` = name, text, name, text, … */
export interface CopyCall {
  readonly step: CopyStep;
  readonly epoch: number;
  readonly expected: string;
  readonly head: string;
  readonly keep: boolean;
  readonly pairs: readonly string[];
}

/** Fields read by one call. */
const SCAN = '200';

/** What the script answers when it is done, or `conflict`. */
export async function askCopy(link: RedisLink, call: CopyCall): Promise<Result<string, string>> {
  const { step, epoch, expected, keep, pairs } = call;
  const { head, records, staged, previous, previousRecords, audit } = COPY_KEYS;
  const answer = await link.runScript(
    'copy',
    [KEYS.meta, head, records, staged, previous, previousRecords, audit],
    [step, String(epoch), expected, call.head, keep ? '1' : '0', ...pairs],
  );
  if (!answer.ok) return answer;
  const [kind, detail] = Array.isArray(answer.value) ? (answer.value as readonly unknown[]) : [];
  if (kind === 'done' && typeof detail === 'string') return ok(detail);
  if (kind === 'conflict') return ok('conflict');
  return err(
    kind === 'fenced' ? `a copy of epoch ${String(detail)} is there` : 'the copy script answered nonsense',
  );
}

/** All fields of a hash, a bounded part in each call. */
export async function hashOf(
  link: RedisLink,
  key: string,
): Promise<Result<ReadonlyMap<string, string>, string>> {
  const fields = new Map<string, string>();
  for (let cursor = '0'; ;) {
    const part = await link.run('HSCAN', key, cursor, 'COUNT', SCAN);
    if (!part.ok) return part;
    const [next, pairs] = part.value as readonly [string, readonly string[]];
    for (let at = 0; at < pairs.length; at += 2) fields.set(pairs[at] ?? '', pairs[at + 1] ?? '');
    if (next === '0') return ok(fields);
    cursor = next;
  }
}
