import type { WriteFailure } from '../../model/ports.js';
import type { Result } from '../../model/result.js';

/** A record and the stamp of its newest state. */
interface Stamped {
  readonly etag: string;
}

/** What reads records past every cache, and knows which of them are damaged. */
export interface NewestReader {
  damaged(): ReadonlyMap<string, string>;
  read(service: string): Promise<Result<Stamped | null, WriteFailure>>;
}

/** Records read at once. */
const IN_FLIGHT = 64;

/**
 * Whether `shown` holds the newest record of every one of `services`. Whoever takes office over from another controller
 * asks this before publishing: after the taking nobody else can write, but the other's last wishes may still be on their
 * way here, and a set made without them would undo a drain that is confirmed already. False means: ask again soon.
 */
export async function hasCaughtUp(
  services: Iterable<string>,
  shown: (service: string) => Stamped | null | undefined,
  store: NewestReader,
): Promise<boolean> {
  const queue = [...new Set(services)].filter((service) => !store.damaged().has(service)).values();
  let behind = false;
  const ask = async (): Promise<void> => {
    for (const service of queue) {
      if (behind) return;
      const newest = await store.read(service);
      // One that is found damaged just now is withheld as soon as the store has told so.
      if (!newest.ok || newest.value?.etag !== shown(service)?.etag) behind = true;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, ask));
  return !behind;
}
