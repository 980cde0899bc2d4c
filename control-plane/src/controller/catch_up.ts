import type { StoredIntent } from '../model/intent.js';
import type { IntentStore } from '../model/ports.js';

/** Records read at once. */
const IN_FLIGHT = 64;

/**
 * Whether `shown` holds the newest record of every one of `services`. Whoever takes office over from another controller
 * asks this before publishing: after the taking nobody else can write, but the other's last wishes may still be on their
 * way here, and a set made without them would undo a drain that is confirmed already. False means: ask again soon.
 */
export async function hasCaughtUp(
  services: Iterable<string>,
  shown: () => ReadonlyMap<string, StoredIntent>,
  store: Pick<IntentStore, 'read' | 'damaged'>,
): Promise<boolean> {
  const queue = [...new Set(services)].filter((service) => !store.damaged().has(service)).values();
  let behind = false;
  const ask = async (): Promise<void> => {
    for (const service of queue) {
      if (behind) return;
      const newest = await store.read(service);
      // One that is found damaged just now is withheld as soon as the store has told so.
      if (!newest.ok || newest.value?.etag !== shown().get(service)?.etag) behind = true;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, ask));
  return !behind;
}
