import type {
  ApiKeyRecord,
  ApiKeyResource,
  ConsumerPlane,
  ConsumerRecord,
  ConsumerResource,
} from '../model/api_consumer.js';
import type { StoredConsumer } from '../model/api_consumer_ports.js';
import { byCodeUnit } from '../plan/encode.js';
import { remembered } from '../plan/incremental.js';

type ByName = ReadonlyMap<string, StoredConsumer>;

export interface ConsumerReads {
  /** The newest consumers; null before they were read. */
  readonly consumers: () => ByName | null;
  /** Milliseconds of the checked clock. */
  readonly wall: () => number;
}

const NONE: ByName = new Map();

/** The consumers as the API asks for them: from what this controller was shown last. */
export function createConsumerPlane({ consumers, wall }: ConsumerReads): ConsumerPlane {
  const sorted = remembered((all: ByName) => [...all.keys()].sort(byCodeUnit));
  return {
    get known() {
      return consumers() !== null;
    },
    page: ({ after, limit }) => {
      const all = consumers() ?? NONE;
      const names = sorted(all);
      const start = after === null ? 0 : names.findIndex((name) => name > after);
      const shown = start < 0 ? [] : names.slice(start, start + limit);
      const items = shown.flatMap((name) => {
        const stored = all.get(name);
        return stored ? [describeConsumer(stored.record, wall())] : [];
      });
      const isLast = start < 0 || start + limit >= names.length;
      return { items, next: isLast ? null : (shown.at(-1) ?? null) };
    },
    byName: (name) => {
      const stored = consumers()?.get(name);
      return stored && describeConsumer(stored.record, wall());
    },
  };
}

/** Without what proves its keys. */
export function describeConsumer(record: ConsumerRecord, wall: number): ConsumerResource {
  const { name, services, networks, keys, by, reason, at: since } = record;
  return { name, services, networks, keys: keys.map((key) => describeKey(key, wall)), by, reason, since };
}

function describeKey(
  { id, by, reason, at: since, expires: until }: ApiKeyRecord,
  wall: number,
): ApiKeyResource {
  return { id, by, reason, since, until, expired: until !== null && Date.parse(until) <= wall };
}
