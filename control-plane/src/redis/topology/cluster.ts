import { portField, type HostPort } from '../../model/field.js';
import type { Clock } from '../../model/ports.js';
import { describeNode, type RedisAddress } from '../../model/redis_url.js';
import { err, ok, type Result } from '../../model/result.js';
import { askAll } from './ask_all.js';
import type { Ask, Topology } from './topology.js';

/** The slot of every key with the tag {ebb}. */
export const SLOT = 4_407;
/** The node that a server has named is newer than what the others have heard, for so long. */
const BELIEVED_MS = 5_000;

/** Asks every node of the URL who has our slot, and goes by the majority of those that answer. */
export function clusterTopology(address: RedisAddress, ask: Ask, clock: Clock): Topology {
  let named: { readonly node: HostPort; readonly until: number } | null = null;
  const askOne = async (node: HostPort): Promise<Result<HostPort, string>> => {
    const answer = await ask(node, ['CLUSTER', 'SLOTS']);
    if (!answer.ok) return answer;
    const owner = readOwner(answer.value, node);
    return owner === null ? err(`${describeNode(node)}: nobody has slot ${String(SLOT)}`) : ok(owner);
  };
  return {
    locate: async () => {
      if (named !== null && clock.monotonic() < named.until) {
        // A node that is gone must not be tried again and again: it is believed once more only when it answers.
        const answer = await ask(named.node, ['PING']);
        if (answer.ok) return ok(named.node);
      }
      named = null;
      const { good, errors } = await askAll(address.nodes, askOne, clock);
      const owner = mostNamed(good);
      return owner === null ? err(`no node of the cluster names an owner: ${errors.join('; ')}`) : ok(owner);
    },
    moved: (to) => {
      named = { node: to, until: clock.monotonic() + BELIEVED_MS };
    },
  };
}

/** Reads what `CLUSTER SLOTS` answers: ranges, each with its master first. No host means that of `from`. Null if nobody has our slot. */
export function readOwner(reply: unknown, from: HostPort): HostPort | null {
  if (!Array.isArray(reply)) return null;
  for (const range of reply as readonly unknown[]) {
    if (!Array.isArray(range)) continue;
    const [first, last, master] = range as readonly unknown[];
    if (!(Number(first) <= SLOT && SLOT <= Number(last)) || !Array.isArray(master)) continue;
    const [host, port] = master as readonly unknown[];
    const parsed = portField.parse(String(port));
    if (!parsed.ok || host === '?') return null;
    return { host: typeof host === 'string' && host !== '' ? host : from.host, port: parsed.value };
  }
  return null;
}

/** The node that most have named, the first of those that tie; null of none. */
export function mostNamed(named: readonly HostPort[]): HostPort | null {
  const votes = new Map<string, { readonly node: HostPort; count: number }>();
  for (const node of named) {
    const vote = votes.get(describeNode(node)) ?? { node, count: 0 };
    vote.count += 1;
    votes.set(describeNode(node), vote);
  }
  let most: { readonly node: HostPort; readonly count: number } | null = null;
  for (const vote of votes.values()) if (most === null || vote.count > most.count) most = vote;
  return most?.node ?? null;
}
