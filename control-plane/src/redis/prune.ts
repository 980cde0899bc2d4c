import type { PruneAnswer } from '../model/ports.js';
import type { PublishedDocument } from '../model/set.js';
import type { RedisLink } from './client.js';
import { KEYS } from './keys.js';

/** How many tombstones one script takes out, which nothing else of Redis runs beside. */
const BATCH = 200;

/** Takes `tombstones` out under `epoch`; see `Publisher.prune`. Ends at the first batch that is not taken. */
export async function pruneTombstones(
  link: Pick<RedisLink, 'runScript'>,
  epoch: number,
  seen: number,
  tombstones: readonly PublishedDocument[],
): Promise<PruneAnswer> {
  for (let start = 0; start < tombstones.length; start += BATCH) {
    const batch = tombstones.slice(start, start + BATCH);
    const keys = [KEYS.meta, KEYS.index, ...batch.map(({ service }) => KEYS.set(service))];
    const args = batch.flatMap(({ service, generation, hash }) => [service, String(generation), hash]);
    const reply = await link.runScript('prune', keys, [String(epoch), String(seen), ...args]);
    if (!reply.ok) return { kind: 'unavailable', reason: reply.error };
    const [kind, number] = Array.isArray(reply.value) ? (reply.value as unknown[]) : [];
    if (kind === 'lost' || kind === 'unsealed') return { kind };
    if (kind === 'fenced') return { kind, epoch: Number(number) };
    if (kind !== 'pruned')
      return { kind: 'unavailable', reason: `prune script answered ${JSON.stringify(reply.value)}` };
  }
  return { kind: 'pruned' };
}
