import { checkName } from '../../model/names.js';
import type { FreezeStore } from '../../model/freeze_ports.js';
import type { IntentStore, WriteFailure } from '../../model/ports.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import type { Result } from '../../model/result.js';
import type { DesiredState } from '../desired_state.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Leadership } from './leadership.js';
import type { Publication } from './publication.js';

export interface CatchUpDeps {
  readonly intents: IntentStore;
  readonly releases: ReleaseStore;
  readonly freezes: FreezeStore;
  readonly inputs: Inputs;
  readonly desired: Pick<DesiredState, 'view' | 'membership'>;
  readonly leadership: Pick<Leadership, 'takenOver' | 'caughtUp'>;
  readonly publication: Pick<Publication, 'published'>;
}

/** A record and the stamp of its newest state. */
interface Stamped {
  readonly etag: string;
}

/** What reads records past every cache, and knows which of them are damaged. */
interface NewestReader {
  damaged(): ReadonlyMap<string, string>;
  read(name: string): Promise<Result<Stamped | null, WriteFailure>>;
}

/** Records read at once. */
const IN_FLIGHT = 64;

/**
 * Whether this controller has seen the last changes of the leader before it. After leadership was taken nobody else can write, but
 * the other's last changes may still be on their way here, and a set made without them would undo a drain that is confirmed already.
 */
export class CatchUp {
  readonly #deps: CatchUpDeps;

  constructor(deps: CatchUpDeps) {
    this.#deps = deps;
  }

  /** True unless leadership was taken over and something newer than what is shown was found. False means: ask again soon. */
  async isDone(): Promise<boolean> {
    const { intents, releases, freezes, inputs, leadership } = this.#deps;
    const term = leadership.takenOver;
    if (term === null) return true;
    const services = this.#services();
    if (!(await isShown(intents, services, (service) => inputs.intents?.get(service)))) return false;
    if (!(await isShown(releases, services, (service) => inputs.releases?.get(service)?.current)))
      return false;
    if (!(await isShown(freezes, ['freeze'], () => inputs.storedFreeze))) return false;
    if (leadership.takenOver !== term) return false;
    leadership.caughtUp();
    return true;
  }

  #services(): readonly string[] {
    const { inputs, desired, publication } = this.#deps;
    const places = [
      desired.view?.services ?? [],
      desired.membership.keys(),
      publication.published.keys(),
      inputs.intents?.keys() ?? [],
      inputs.releases?.keys() ?? [],
    ];
    return places.flatMap((names) => [...names]).filter((name) => checkName('service', name).ok);
  }
}

/** True if `shown` is the newest record of every one of `names` that is not damaged. */
async function isShown(
  store: NewestReader,
  names: readonly string[],
  shown: (name: string) => Stamped | null | undefined,
): Promise<boolean> {
  const queue = [...new Set(names)].filter((name) => !store.damaged().has(name)).values();
  let behind = false;
  const ask = async (): Promise<void> => {
    for (const name of queue) {
      if (behind) return;
      const newest = await store.read(name);
      // One that is found damaged just now is withheld as soon as the store has said so.
      if (!newest.ok || newest.value?.etag !== shown(name)?.etag) behind = true;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, ask));
  return !behind;
}
