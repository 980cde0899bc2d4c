import { checkName } from '../model/names.js';
import type { Log } from '../model/ports.js';
import { ok, type Result } from '../model/result.js';
import type { RedisLink } from './client.js';
import { KEYS } from './keys.js';

/** From how many names on only both ends of Redis' list are read, so that no list can be too long to read. */
export const MOST_LISTED = 10_000;
/** How many names one command takes out of the list. */
const REMOVE_BATCH = 1_000;

/** What is in Redis' list of gateways. */
export interface GatewayListing {
  /** Id → unix second of its last sign of life. */
  readonly names: ReadonlyMap<string, number>;
  /** How many names were not read. */
  readonly more: number;
  /** Names that no gateway can have. */
  readonly bad: readonly string[];
}

/** Redis' list of gateways, which anybody may have written who may write there. */
export class GatewayList {
  readonly #link: RedisLink;
  readonly #log: Log;

  constructor(link: RedisLink, log: Log) {
    this.#link = link;
    this.#log = log;
  }

  /** Null when Redis did not answer: the next poll asks again, and the link's state shows that. */
  async read(): Promise<GatewayListing | null> {
    const size = await this.#link.run('ZCARD', KEYS.gateways);
    if (!size.ok) {
      if (!size.error.startsWith('WRONGTYPE')) return null;
      // Somebody put something else there. Every gateway lists itself again within a second.
      this.#log.warn({ key: KEYS.gateways }, 'the list of gateways is no sorted set; removed');
      await this.#link.run('DEL', KEYS.gateways);
      return null;
    }
    const more = Math.max(0, Number(size.value) - MOST_LISTED);
    const half = String(MOST_LISTED / 2 - 1);
    const answers = await Promise.all(
      more === 0
        ? [this.#link.run('ZRANGE', KEYS.gateways, '0', '-1', 'WITHSCORES')]
        : [
            this.#link.run('ZRANGE', KEYS.gateways, '0', half, 'WITHSCORES'),
            this.#link.run('ZREVRANGE', KEYS.gateways, '0', half, 'WITHSCORES'),
          ],
    );
    const names = new Map<string, number>();
    const bad: string[] = [];
    for (const answer of answers) {
      if (!answer.ok || !Array.isArray(answer.value)) return null;
      // Pairs by RESP3, one flat list by RESP2.
      const flat = (answer.value as readonly unknown[]).flat();
      for (let at = 0; at < flat.length; at += 2) {
        const id = flat[at];
        if (typeof id !== 'string') continue;
        if (checkName('gateway', id).ok) names.set(id, secondsOf(flat[at + 1]));
        else bad.push(id);
      }
    }
    return { names, more, bad };
  }

  /** Takes one gateway out, with its soft state: null, or why some of it may still be there. */
  async forget(id: string): Promise<string | null> {
    const answers = await Promise.all([
      this.#link.run('ZREM', KEYS.gateways, id),
      this.#link.run('DEL', KEYS.heartbeat(id), KEYS.stats(id)),
    ]);
    return answers.find((answer) => !answer.ok)?.error ?? null;
  }

  /** Takes names out of the list; an error says why some may still be in it. */
  async remove(names: readonly string[]): Promise<Result<void, string>> {
    for (let start = 0; start < names.length; start += REMOVE_BATCH) {
      const batch = names.slice(start, start + REMOVE_BATCH);
      const answer = await this.#link.run('ZREM', KEYS.gateways, ...batch);
      if (!answer.ok) return answer;
    }
    return ok(undefined);
  }
}

/** A score is whatever its writer likes: what is no moment is 0. */
function secondsOf(score: unknown): number {
  const seconds = Math.floor(Number(score));
  return seconds > 0 && seconds < 8e12 ? seconds : 0;
}
