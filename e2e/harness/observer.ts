import type { IntentRecord } from '../../control-plane/src/testkit.js';
import { timePasses } from './until.js';
import { openSession } from './znode.js';

/** What an observer has seen of one service's record in ZooKeeper. */
export interface Observed {
  /** Idempotency-Key → how many events with that key there ever were. */
  readonly effects: ReadonlyMap<string, number>;
  /** The record as it is at the end. */
  readonly record: IntentRecord;
}

export interface Observer {
  stop(): Promise<Observed>;
}

/** How often the record is read; it keeps its newest events for longer than that. */
const EVERY_MS = 20;

/**
 * Follows the record of `service` in ZooKeeper by a session of its own, and remembers every event that ever was in it,
 * whatever the controller says.
 */
export async function observe(zookeeper: number, service: string): Promise<Observer> {
  const path = `/ebbgate/intents/${service}`;
  const session = await openSession(zookeeper);
  /** Event → how often it was in one record at once. */
  const seen = new Map<string, { readonly key: string; readonly times: number }>();
  const stopped = new AbortController();
  let record: IntentRecord | null = null;
  const look = async (): Promise<void> => {
    const read = await session.getData(path);
    if (!read.ok) throw new Error(`${path}: ${read.error.message}`);
    record = JSON.parse(read.value.data.toString('utf8')) as IntentRecord;
    const present = new Map<string, number>();
    for (const event of record.events) {
      const { idempotency_key: key } = event;
      if (key === undefined) continue;
      const text = JSON.stringify(event);
      const times = (present.get(text) ?? 0) + 1;
      present.set(text, times);
      if (times > (seen.get(text)?.times ?? 0)) seen.set(text, { key, times });
    }
  };
  const following = (async () => {
    while (!stopped.signal.aborted) {
      await look();
      await timePasses('until the next look', EVERY_MS);
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await following;
      await look();
      await session.close();
      const effects = new Map<string, number>();
      for (const { key, times } of seen.values()) effects.set(key, (effects.get(key) ?? 0) + times);
      return { effects, record: record as unknown as IntentRecord };
    },
  };
}
