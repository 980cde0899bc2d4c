import { portField, type HostPort } from '../../model/field.js';
import type { Clock } from '../../model/ports.js';
import type { RedisAddress } from '../../model/redis_url.js';
import { err, ok, type Result } from '../../model/result.js';
import { askAll } from './ask_all.js';
import type { Ask, Topology } from './topology.js';

/** What one sentinel knows of the master. */
export interface SeenMaster {
  readonly node: HostPort;
  /** Rises with every failover: of two that differ, the higher one is right. */
  readonly epoch: number;
}

/** Asks every sentinel of the URL for the master. One that was cut off from the others still names the old one: the highest epoch counts. */
export function sentinelTopology(address: RedisAddress, ask: Ask, clock: Clock): Topology {
  const name = address.name ?? '';
  const askOne = async (node: HostPort): Promise<Result<SeenMaster, string>> => {
    const answer = await ask(node, ['SENTINEL', 'MASTER', name]);
    if (!answer.ok) return answer;
    const seen = readMaster(answer.value);
    return seen === null ? err('a sentinel gave no address of the master') : ok(seen);
  };
  return {
    locate: async () => {
      const { good, errors } = await askAll(address.nodes, askOne, clock);
      const newest = newestMaster(good);
      return newest === null ? err(`no sentinel names the master ${name}: ${errors.join('; ')}`) : ok(newest);
    },
    moved: () => undefined,
  };
}

/** Reads what `SENTINEL MASTER` answers: names and values in turn. Null if that has no address. */
export function readMaster(reply: unknown): SeenMaster | null {
  if (!Array.isArray(reply)) return null;
  const fields = new Map<unknown, unknown>();
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(reply[at], reply[at + 1]);
  const [host, port, epoch] = ['ip', 'port', 'config-epoch'].map((name) => fields.get(name));
  const parsed = portField.parse(String(port));
  if (typeof host !== 'string' || host === '' || !parsed.ok) return null;
  return { node: { host, port: parsed.value }, epoch: Number(epoch) || 0 };
}

/** The master of the highest epoch; null of none. */
export function newestMaster(seen: readonly SeenMaster[]): HostPort | null {
  let newest: SeenMaster | null = null;
  for (const one of seen) if (newest === null || one.epoch > newest.epoch) newest = one;
  return newest?.node ?? null;
}
