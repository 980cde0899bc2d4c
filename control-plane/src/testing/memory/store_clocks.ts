import type { StoreClocks, Time } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';

type Store = keyof StoreClocks;

/** The wall clocks of stores in memory, which go by a clock of ours, and may be set away from it. */
export class MemoryStoreClocks implements StoreClocks {
  /** By how many milliseconds each is away from the true time; null = it does not answer. */
  readonly by: Record<Store, number | null> = { zookeeper: 0, redis: 0 };
  readonly #clock: Pick<Time, 'wall'>;

  constructor(clock: Pick<Time, 'wall'>) {
    this.#clock = clock;
  }

  readonly zookeeper = () => this.#read('zookeeper');
  readonly redis = () => this.#read('redis');

  #read(store: Store): Promise<Result<number, string>> {
    const by = this.by[store];
    return Promise.resolve(by === null ? err(`${store} does not answer`) : ok(this.#clock.wall() + by));
  }
}
